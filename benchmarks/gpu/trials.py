"""What must come out as on a CPU: numbers to the tolerance of a precision, and texts.

A trial is a function of a `Size` and a dtype policy. A process without a GPU runs all of them in
float32 and writes down what came out; that is what each precision is compared with.
"""

import importlib.resources
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

import zoo
from benchmarks.gpu import small

FLOAT32 = ("float32",)
ALL = ("float32", "mixed_bfloat16", "mixed_float16")

LOSSES = {"float32": 1e-4, "mixed_bfloat16": 2e-2, "mixed_float16": 1e-2}
NUMBERS = {"float32": 1e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 3e-3}
ROUNDED = 1e-2  # of float32 that the framework may round to TensorFloat-32
SAME = 1e-6  # of losses, relatively
NEW_TOKENS = 24


class Trial(NamedTuple):
    """`run(size, dtype)` gives losses, other numbers or texts, as `kind` says."""

    run: Callable
    kind: str
    precisions: tuple


TRIALS = {}


def trial(name, kind, precisions=ALL):
    def register(run):
        TRIALS[name] = Trial(run, kind, precisions)
        return run

    return register


# Layers by themselves: if one of these fails, so will what is made of it.


def step_of_layer(layer, size, length, padded):
    """What a layer makes of random numbers, before and after a step of gradient descent."""
    x = keras.Input((length, size.width))
    mask = keras.Input((length,), dtype="bool")
    y = layer(x, padding_mask=mask) if padded else layer(x)
    y = y[0] if isinstance(y, (list, tuple)) else y
    model = keras.Model([x, mask] if padded else x, y)
    small.models.with_weights(model, size.weights)
    model.compile(keras.optimizers.SGD(1.0), loss="mse", auto_scale_loss=False)
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(2, size.rows, length, size.width)).astype("float32")
    mask = np.arange(length) < (length - np.arange(size.rows))[:, None]
    inputs = [x, mask] if padded else x
    before = model.predict_on_batch(inputs)
    model.train_on_batch(inputs, y)
    both = np.stack([before, model.predict_on_batch(inputs)]).astype("float32")
    if padded:  # what stands at padding means nothing
        both = both * mask[:, :, None]
    return both[:, :, ::4, ::8].ravel().tolist()


@trial("layer: attention, causal", "numbers")
def causal_attention(size, dtype):
    layer = zoo.layers.MultiHeadAttention(size.heads, causal=True, dtype=dtype, name="attention")
    return step_of_layer(layer, size, size.length, padded=False)


@trial("layer: attention, padded, of odd length", "numbers")
def padded_attention(size, dtype):
    layer = zoo.layers.MultiHeadAttention(size.heads, dtype=dtype, name="attention")
    return step_of_layer(layer, size, size.length - 1, padded=True)


@trial("layer: LSTM", "numbers")
def lstm_layer(size, dtype):
    layer = zoo.layers.LSTMLayer(size.width, dtype=dtype, name="lstm")
    return step_of_layer(layer, size, size.length, padded=False)


@trial("layer: LSTM, padded", "numbers")
def padded_lstm_layer(size, dtype):
    layer = zoo.layers.LSTMLayer(size.width, dtype=dtype, name="lstm")
    return step_of_layer(layer, size, size.length, padded=True)


# Training.


@trial("fit: GPT", "losses")
def fit_gpt(size, dtype):
    return small.train(small.gpt(size, dtype), small.causal_batch(size), size)


@trial("fit: BERT classifier", "losses")
def fit_classifier(size, dtype):
    batch = small.labelled_batch(size)
    # Slowly: a loss near zero is no measure.
    return small.train(small.classifier(size, dtype), batch, size, learning_rate=1e-4)


@trial("fit: LSTM language model", "losses")
def fit_lstm(size, dtype):
    return small.train(small.lstm(size, dtype), small.causal_batch(size), size)


@trial("fit: Transformer, encoder-decoder", "losses")
def fit_transformer(size, dtype):
    return small.train(small.transformer(size, dtype), small.pair_batch(size), size)


@trial("fit: LSTM, encoder-decoder", "losses")
def fit_lstm_seq2seq(size, dtype):
    return small.train(small.lstm_seq2seq(size, dtype), small.pair_batch(size), size)


@trial("fit: BERT, masked words and next sentences", "losses")
def fit_pretrainer(size, dtype):
    backbone, tokenizer = small.encoder(size, dtype)
    model = small.models.with_weights(zoo.BertPretrainer(backbone, tokenizer, 24), size.weights)
    model.compile(optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-4))
    documents = ["The sea was calm. The sky was grey. Nobody spoke.", "It was late! Was it?"] * 2
    return model.fit(documents, batch_size=4, epochs=size.steps, verbose=0).history["loss"]


@trial("fit: GPT, large vocabulary", "losses", ("float32", "mixed_bfloat16"))
def fit_large_gpt(size, dtype):
    return small.train(small.large_gpt(size, dtype), small.large_batch(size), size)


@trial("fit: GPT, padded rows", "losses", FLOAT32)
def fit_padded_gpt(size, dtype):
    return small.train(small.gpt(size, dtype), small.causal_batch(size, padded=True), size)


@trial("fit: GPT, accumulated gradients", "losses", FLOAT32)
def fit_accumulating(size, dtype):
    batch = small.causal_batch(size)
    return small.train(small.gpt(size, dtype), batch, size, gradient_accumulation_steps=2)


@trial("fit: GPT, averaged weights, gradients clipped one by one", "losses", FLOAT32)
def fit_averaging(size, dtype):
    options = {"use_ema": True, "global_clipnorm": None, "clipnorm": 0.1}
    return small.train(small.gpt(size, dtype), small.causal_batch(size), size, **options)


@trial("fit: stateful LSTM", "losses", FLOAT32)
def fit_stateful(size, dtype):
    return small.train(small.lstm(size, dtype, stateful=True), small.causal_batch(size), size)


@trial("evaluate: GPT on texts", "numbers", FLOAT32)
def evaluate_texts(size, dtype):
    results = small.gpt(size, dtype).evaluate(list(small.models.TEXTS), verbose=0, return_dict=True)
    return [results[name] for name in sorted(results)]


@trial("score: GPT", "numbers", FLOAT32)
def score(size, dtype):
    return small.gpt(size, dtype).score(["The sea was calm.", "It was late."])[0].tolist()


@trial("encode: BERT", "numbers")
def encode(size, dtype):
    model = small.models.with_weights(zoo.TextEmbedder(*small.encoder(size, dtype)), size.weights)
    return model.encode(["The sea was calm.", "It was late."])[:, ::4].ravel().tolist()


# Writing.

SAMPLERS = {
    "greedy": {"sampler": "greedy"},
    "sampled": {"sampler": zoo.generation.TopP(0.9, temperature=1.1), "seed": 3},
    "beam": {"sampler": zoo.generation.Beam(3)},
}
WRITERS = {
    "GPT": (small.gpt, ["The sea", "", "Nobody spoke “"]),
    "LSTM": (small.lstm, ["The sea", "", "Nobody spoke “"]),
    "Transformer": (small.transformer, ["The sea", "It was late.", "Nobody"]),
    "LSTM encoder-decoder": (small.lstm_seq2seq, ["The sea", "It was late.", "Nobody"]),
}


def add_writers():
    for family, (make, prompts) in WRITERS.items():
        for how, arguments in SAMPLERS.items():
            in_half = family in ("GPT", "LSTM") and how == "greedy"

            @trial(f"generate: {family}, {how}", "texts", ALL if in_half else FLOAT32)
            def write(size, dtype, make=make, prompts=prompts, arguments=arguments):
                tokens = min(NEW_TOKENS, size.length - 16)
                return make(size, dtype).generate(prompts, max_new_tokens=tokens, **arguments)


add_writers()


def has_weights(name):
    folder = importlib.resources.files("zoo.presets") / name
    return (folder / "model.safetensors").is_file()


def add_presets():
    """Trained models that are installed with the package."""
    for name, how in (("gpt-small", "greedy"), ("transformer-small-en-fr", "beam")):
        if not has_weights(name):
            continue

        @trial(f"preset: {name}, {how}", "texts", FLOAT32)
        def write(size, dtype, name=name, how=how):
            model = zoo.load(name)
            texts = ["The sea was calm.", "It was late when the captain came home."]
            return model.generate(texts, max_new_tokens=NEW_TOKENS, **SAMPLERS[how])


add_presets()


def compare(kind, seen, expected, tolerance):
    """`(passed, value)` of what came out beside what should have."""
    if kind == "texts":
        equal = sum(a == b for a, b in zip(seen, expected, strict=True))
        passed = equal == len(expected) if tolerance is None else None
        return passed, f"{equal} of {len(expected)} texts equal"
    if len(seen) != len(expected):
        raise ValueError(f"There must be {len(expected)} numbers; got {len(seen)}.")
    if not np.all(np.isfinite(seen)):
        return False, f"{np.sum(~np.isfinite(seen))} of {len(seen)} are not finite"
    if kind == "losses":
        return compare_losses(seen, expected, tolerance)
    seen, expected = np.asarray(seen, "float64"), np.asarray(expected, "float64")
    off = float(np.linalg.norm(seen - expected) / np.linalg.norm(expected))
    return off <= tolerance, f"{off:.1e}"


def compare_losses(seen, expected, tolerance):
    """The largest relative distance of a step; steps that loss scaling skips are left out.

    All steps are on one batch: where one is skipped, the next loss is the same again.
    """
    taken, due = distinct(seen), distinct(expected)
    off = max(abs(a / b - 1) for a, b in zip(taken, due, strict=False))
    skipped, falls = len(due) - len(taken), taken[-1] < taken[0] or due[-1] >= due[0]
    told = f"{off:.1e}" + (f", {skipped} steps skipped" if skipped > 0 else "")
    return off <= tolerance and falls, told + ("" if falls else ", and does not fall")


def distinct(losses):
    return [losses[0], *(b for a, b in pairwise(losses) if abs(b / a - 1) > SAME)]


def tolerance_of(kind, precision, rounded=False):
    """None for texts that must be equal; "any" where rounding may change a token."""
    if kind == "texts":
        return None if precision == "float32" else "any"
    if rounded:
        return ROUNDED
    return (LOSSES if kind == "losses" else NUMBERS)[precision]


def warm_up():
    """Let the backend start before the first clock does."""
    ops.convert_to_numpy(ops.ones((8, 8)) @ ops.ones((8, 8)))
