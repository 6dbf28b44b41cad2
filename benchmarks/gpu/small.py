"""Small models of every family, whose weights NumPy draws, and a batch for each.

They are those of the tests, wider: so wide that fused kernels take them.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

import zoo

TESTS = Path(__file__).parents[2] / "tests"


class Size(NamedTuple):
    """How large the small models are, and how long they are trained."""

    width: int = 256
    heads: int = 4
    layers: int = 2
    length: int = 128
    rows: int = 8
    steps: int = 20
    vocabulary: int = 50_257  # of the model whose head is large

    @property
    def weights(self):
        """The standard deviation of weights by which layers keep the size of what they read."""
        return 0.8 / self.width**0.5

    @property
    def shape(self):
        return {"num_layers": self.layers, "num_heads": self.heads, "hidden_dim": self.width}

    @property
    def recurrent_shape(self):
        return {"num_layers": self.layers, "hidden_dim": self.width}


FULL = Size()
QUICK = Size(width=32, heads=4, layers=1, length=24, rows=2, steps=5, vocabulary=3_000)


def _tests_models():
    """`tests.models` by its path: somebody else's package may be called `tests`, too."""
    spec = importlib.util.spec_from_file_location("zoo_tests_models", TESTS / "models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = _tests_models()


def gpt(size, dtype="float32", **overrides):
    return models.tiny_gpt(
        max_length=size.length, scale=size.weights, dtype=dtype, **{**size.shape, **overrides}
    )


def large_gpt(size, dtype="float32"):
    """A GPT whose logits do not fit into one chunk of the head's loss."""
    backbone = zoo.models.GPT(
        vocab_size=size.vocabulary,
        max_length=size.length,
        dropout=0.0,
        dtype=dtype,
        **{**size.shape, "num_layers": 1},
    )
    return models.with_weights(zoo.CausalLM(backbone), size.weights)


def lstm(size, dtype="float32", **task_arguments):
    return models.tiny_lstm(
        max_length=size.length,
        scale=size.weights,
        task_arguments=task_arguments,
        dtype=dtype,
        inner_dim=None,
        **size.recurrent_shape,
    )


def transformer(size, dtype="float32"):
    return models.tiny_transformer(
        max_length=size.length, scale=size.weights, dtype=dtype, **size.shape
    )


def lstm_seq2seq(size, dtype="float32"):
    backbone = zoo.models.LSTMSeq2Seq(
        vocab_size=models.VOCAB_SIZE,
        max_length=size.length,
        dropout=0.0,
        dtype=dtype,
        **size.recurrent_shape,
    )
    return models.with_weights(zoo.Seq2SeqLM(backbone, models.tokenizer()), size.weights)


def encoder(size, dtype="float32"):
    """A BERT, and its tokenizer."""
    backbone = models.tiny_backbone(max_length=size.length, dtype=dtype, **size.shape)
    return backbone, models.word_pieces()


def classifier(size, dtype="float32"):
    task = zoo.TextClassifier(*encoder(size, dtype), labels=["a", "b"], head_dropout=0.0)
    return models.with_weights(task, size.weights)


def token_ids(size, vocabulary=models.VOCAB_SIZE, seed=4):
    """A skewed batch, of which there is much to learn."""
    return models.random_ids(size.rows, size.length, seed) % (vocabulary // 8)


def causal_batch(size, padded=False):
    ids = models.random_ids(size.rows, size.length + 1, seed=4) // 8
    if not padded:
        return ids[:, :-1], ids[:, 1:]
    mask = row_mask(size)
    return {"token_ids": ids[:, :-1], "padding_mask": mask}, ids[:, 1:], mask.astype("float32")


def large_batch(size):
    draw = np.random.default_rng(4)
    ids = draw.integers(0, size.vocabulary, (size.rows, size.length + 1)) // 8
    return ids[:, :-1].astype("int32"), ids[:, 1:].astype("int32")


def pair_batch(size):
    """Sources of unequal lengths, and targets."""
    ids = models.random_ids(size.rows, size.length + 1, seed=4) // 8
    mask = row_mask(size)
    inputs = {"token_ids": ids[:, 1:], "padding_mask": mask, "decoder_token_ids": ids[:, :-1]}
    return inputs, ids[:, 1:]


def labelled_batch(size):
    ids = token_ids(size, models.word_pieces().vocab_size)
    return {"token_ids": ids, "padding_mask": row_mask(size)}, np.arange(size.rows) % 2


def row_mask(size):
    """True for real tokens: rows get shorter by a token each."""
    lengths = size.length - np.arange(size.rows)
    return np.arange(size.length) < lengths[:, None]


def train(model, batch, size, learning_rate=1e-3, **optimizer_arguments):
    """The loss of each step on one batch, again and again, with the weights of before it."""
    arguments = {"weight_decay": 0.1, "global_clipnorm": 1.0, "epsilon": 1e-5}
    arguments |= optimizer_arguments
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate, **arguments))
    x, y, *weight = batch
    history = model.fit(
        x,
        y,
        sample_weight=weight[0] if weight else None,
        batch_size=size.rows,
        epochs=size.steps,
        shuffle=False,
        verbose=0,
    )
    return history.history["loss"]
