"""The head loss in chunks equals the plain one, in values, in gradients and in `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import random_ids, tiny_gpt
from zoo.backends import backend, head_gradients
from zoo.layers import TokenCrossEntropy, head_cross_entropy, is_likeliest, token_nats

TOKENS, DIM, VOCAB = 23, 8, 50


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(TOKENS, DIM)).astype("float32")
    table = rng.normal(size=(VOCAB, DIM)).astype("float32")
    labels = rng.integers(0, VOCAB, TOKENS).astype("int32")
    weight = rng.choice([0.0, 0.5, 1.0], TOKENS).astype("float32")
    return hidden, table, labels, weight


@pytest.fixture(params=[1, 4, TOKENS, 2**25 // VOCAB], ids=lambda n: f"{n}-a-chunk")
def tokens_in_a_chunk(request, monkeypatch):
    monkeypatch.setattr(head_gradients, "MAX_LOGITS", request.param * VOCAB)
    return request.param


def plain_sums(hidden, table, labels, weight):
    logits = ops.matmul(hidden, ops.transpose(table))
    nats = ops.sum(weight * token_nats(labels, logits))
    return nats, ops.sum(weight * is_likeliest(labels, logits))


def value_and_gradients(function, hidden, table, labels, weight):
    """The sums, and the gradients of three times the first."""
    name = keras.backend.backend()
    labels, weight = ops.convert_to_tensor(labels), ops.convert_to_tensor(weight)
    if name == "jax":
        import jax

        def loss(pair):
            sums = function(*pair, labels, weight)
            return 3 * sums[0], sums

        gradients, sums = jax.jit(jax.grad(loss, has_aux=True))((hidden, table))
    elif name == "torch":
        pair = [ops.convert_to_tensor(x).requires_grad_() for x in (hidden, table)]
        sums = function(*pair, labels, weight)
        (3 * sums[0]).backward()
        gradients = [x.grad for x in pair]
    else:
        import tensorflow as tf

        @tf.function(input_signature=[tf.TensorSpec((None, DIM)), tf.TensorSpec((VOCAB, DIM))])
        def run(hidden, table):  # the number of tokens is not known, as in `fit`
            with tf.GradientTape() as tape:
                tape.watch((hidden, table))
                sums = function(hidden, table, labels, weight)
                loss = 3 * sums[0]
            return sums, tape.gradient(loss, (hidden, table))

        sums, gradients = run(hidden, table)
    numpy_of = lambda x: ops.convert_to_numpy(ops.stop_gradient(x))  # noqa: E731
    return [numpy_of(x) for x in (*sums, *gradients)]


def test_values_and_gradients_equal_the_plain_ones(arrays, tokens_in_a_chunk):
    expected = value_and_gradients(plain_sums, *arrays)
    for seen, value in zip(value_and_gradients(head_cross_entropy, *arrays), expected, strict=True):
        np.testing.assert_allclose(seen, value, rtol=1e-5, atol=1e-6)


def test_without_training_there_are_the_same_sums(arrays, tokens_in_a_chunk):
    arrays = [ops.convert_to_tensor(x) for x in arrays]
    seen = [float(x) for x in head_cross_entropy(*arrays, training=False)]
    np.testing.assert_allclose(seen, [float(x) for x in plain_sums(*arrays)], rtol=1e-6)


def test_large_logits_do_not_overflow():
    hidden, table = np.full((2, 1), 1e4, "float32"), np.array([[1.0], [-1.0]], "float32")
    arrays = [hidden, table, np.array([0, 1], "int32"), np.ones(2, "float32")]
    sums = head_cross_entropy(*(ops.convert_to_tensor(x) for x in arrays))
    assert [float(ops.stop_gradient(x)) for x in sums] == [2e4, 1.0]


def test_half_precision_is_summed_in_float32(arrays):
    hidden, table, labels, weight = arrays
    halves = [ops.cast(ops.convert_to_tensor(x), "bfloat16") for x in (hidden, table)]
    nats, _ = head_cross_entropy(*halves, *map(ops.convert_to_tensor, (labels, weight)))
    assert keras.backend.standardize_dtype(nats.dtype) == "float32"
    expected = plain_sums(*map(ops.convert_to_tensor, arrays))[0]
    np.testing.assert_allclose(float(ops.stop_gradient(nats)), float(expected), rtol=2e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("size", [2**25, 3000 * 5], ids=["whole", "in-chunks"])
def test_gradients_of_many_tokens_are_summed_in_float32(monkeypatch, dtype, size):
    """100,000 gradients of one row: float16 ends at 65,504, bfloat16 has 8 bits."""
    monkeypatch.setattr(head_gradients, "MAX_LOGITS", size)
    rng, tokens = np.random.default_rng(0), 100_000
    arrays = [rng.normal(1, 0.1, (tokens, 4)), rng.normal(0, 0.1, (5, 4))]
    halves = [ops.cast(ops.convert_to_tensor(x, dtype="float32"), dtype) for x in arrays]
    hidden, table = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in halves)
    hidden, table = hidden.astype("float64"), table.astype("float64")
    labels, weight = np.full(tokens, 3, "int32"), np.full(tokens, 1.5, "float32")
    logits = hidden @ table.T
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    d_logits = 1.5 * (p - np.eye(5)[labels])
    sums, d_hidden, d_table = (
        ops.convert_to_numpy(x)
        for x in backend.head_gradients(*halves, *map(ops.convert_to_tensor, (labels, weight)))
    )
    rtol = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 1e-4}[dtype]
    np.testing.assert_allclose(sums[0], -1.5 * np.log(p[:, 3]).sum(), rtol=rtol)
    np.testing.assert_allclose(d_table, d_logits.T @ hidden, rtol=rtol)
    assert np.abs(d_table).max() > 100_000
    np.testing.assert_allclose(d_hidden, d_logits @ table, rtol=2 * rtol, atol=2 * rtol)


def fit_losses(dtype="float32", **compile_arguments):
    """Losses and accuracies of epochs of `fit`, whose last batch is smaller, and of `evaluate`."""
    model = tiny_gpt(scale=0.1, dtype=dtype)
    model.compile(optimizer=keras.optimizers.SGD(0.5), **compile_arguments)
    ids, weight = random_ids(7, 9, seed=5), np.ones((7, 8), "float32")
    weight[3, 2:] = 0
    arguments = {"sample_weight": weight, "batch_size": 3}
    history = model.fit(ids[:, :-1], ids[:, 1:], epochs=3, shuffle=False, verbose=0, **arguments)
    results = model.evaluate(ids[:, :-1], ids[:, 1:], return_dict=True, verbose=0, **arguments)
    names = ("loss", "accuracy", "perplexity")
    return [history.history[name] for name in names], [results[name] for name in names]


class Renamed(TokenCrossEntropy):
    """The same loss under a type that the head loss does not know."""


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_fit_and_evaluate_are_those_of_the_plain_loss(monkeypatch, dtype, rtol):
    monkeypatch.setattr(head_gradients, "MAX_LOGITS", 10 * 300)
    for seen, expected in zip(fit_losses(dtype), fit_losses(dtype, loss=Renamed()), strict=True):
        np.testing.assert_allclose(seen, expected, rtol=rtol)


def test_metrics_that_need_logits_get_them():
    metric = keras.metrics.SparseCategoricalAccuracy(name="keras_accuracy")
    model = tiny_gpt()
    model.compile(weighted_metrics=[metric])
    results = model.evaluate(random_ids(4, 9), return_dict=True, verbose=0)
    assert results["keras_accuracy"] == pytest.approx(results["accuracy"])


def test_weights_of_rows_count_for_all_their_tokens():
    model, ids = tiny_gpt(), random_ids(2, 9)
    x, y = ids[:, :-1], ids[:, 1:]
    rows = model.evaluate(x, y, sample_weight=np.array([1.0, 0.0]), return_dict=True, verbose=0)
    alone = model.evaluate(x[:1], y[:1], return_dict=True, verbose=0)
    assert rows == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.full((2, 8), -100)}, "Labels must be from 0 to 299.*got -100.*sample_weight"),
        ({"y": np.full((2, 8), 300)}, "Labels must be from 0 to 299.*got 300"),
        ({"y": np.zeros((2, 7), "int32")}, r"label for each token id.*\(2, 8\); got \(2, 7\)"),
        (
            {"sample_weight": np.ones((2, 5))},
            r"sample_weight must have.*\(2, 8\).*got shape \(2, 5\)",
        ),
    ],
)
def test_labels_and_weights_that_do_not_fit(change, message):
    ids = random_ids(2, 9)
    with pytest.raises(ValueError, match=message):
        tiny_gpt().fit(**{"x": ids[:, :-1], "y": ids[:, 1:], "verbose": 0, **change})
