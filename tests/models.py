"""Small models with large random weights, the same on every backend."""

import functools

import numpy as np

import zoo

VOCAB_SIZE = 300
TEXTS = (
    "The sea was calm and the sky was grey. Nobody spoke for a long while.\n\n"
    "“Come in,” said the captain; “you are late, as ever!” — and he laughed.",
    "It was the best of times, it was the worst of times.",
    "x = [i ** 2 for i in range(10)]  # 数字 🙂 naïve café",
)


@functools.cache
def tokenizer():
    return zoo.tokenizers.BytePairTokenizer.train(TEXTS, vocab_size=VOCAB_SIZE)


def tiny_gpt(with_tokenizer=True, max_length=64, scale=0.3, **overrides):
    """A one-layer GPT whose weights are drawn by NumPy, so that every backend has the same."""
    arguments = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "dropout": 0.0, **overrides}
    backbone = zoo.models.GPT(vocab_size=VOCAB_SIZE, max_length=max_length, **arguments)
    return with_weights(zoo.CausalLM(backbone, tokenizer() if with_tokenizer else None), scale)


def tiny_transformer(with_tokenizer=True, max_length=64, scale=0.3, task=None, **overrides):
    """A small encoder-decoder as a `zoo.Seq2SeqLM`; `task` holds that one's arguments."""
    arguments = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "dropout": 0.0, **overrides}
    arguments = {"vocab_size": VOCAB_SIZE, "max_length": max_length, **arguments}
    backbone = zoo.models.Transformer(**arguments)
    words = tokenizer() if with_tokenizer else None
    return with_weights(zoo.Seq2SeqLM(backbone, words, **(task or {})), scale)


def tiny_lstm(with_tokenizer=True, max_length=64, scale=0.5, task_arguments=None, **overrides):
    """A two-layer LSTM language model, wider inside, whose weights are drawn by NumPy."""
    arguments = {"num_layers": 2, "hidden_dim": 16, "inner_dim": 24, "dropout": 0.0, **overrides}
    backbone = zoo.models.LSTM(vocab_size=VOCAB_SIZE, max_length=max_length, **arguments)
    model = zoo.CausalLM(
        backbone, tokenizer() if with_tokenizer else None, **(task_arguments or {})
    )
    return with_weights(model, scale)


@functools.cache
def word_pieces():
    return zoo.tokenizers.WordPieceTokenizer.train(TEXTS, vocab_size=VOCAB_SIZE)


def tiny_backbone(cls=zoo.models.BERT, max_length=32, **overrides):
    """A small encoder over `word_pieces()`."""
    arguments = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "dropout": 0.0, **overrides}
    return cls(vocab_size=word_pieces().vocab_size, max_length=max_length, **arguments)


def with_weights(model, scale=0.3):
    """Weights drawn by NumPy, so that every backend has the same."""
    rng = np.random.default_rng(0)
    for weight in sorted(model.weights, key=lambda w: w.path):
        centre = 1.0 if weight.path.endswith(("gamma", "norm/scale")) else 0.0
        weight.assign(centre + scale * rng.normal(size=weight.shape))
    return model


def random_ids(rows, length, seed=0):
    return np.random.default_rng(seed).integers(0, VOCAB_SIZE, (rows, length)).astype("int32")
