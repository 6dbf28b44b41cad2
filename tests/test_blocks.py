"""Feed-forward layers and the Transformer block."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from zoo.layers import (
    FeedForward,
    MultiHeadAttention,
    RotaryEmbedding,
    SwiGLU,
    TransformerBlock,
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy_of(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def make_block(cross=False, causal=True, feed_forward=FeedForward, **kwargs):
    return TransformerBlock(
        MultiHeadAttention(2, causal=causal, position=RotaryEmbedding(), name="attention"),
        feed_forward(24, name="feed_forward"),
        cross_attention=MultiHeadAttention(2, name="cross_attention") if cross else None,
        **kwargs,
    )


def erf_gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu", lambda x: np.maximum(x, 0)), ("gelu", erf_gelu), ("gelu_tanh", tanh_gelu)],
)
def test_feed_forward_is_its_formula(activation, function):
    layer = FeedForward(24, activation=activation)
    x = random(2, 3, 8)
    y = numpy_of(layer(x))
    w1, b1, w2, b2 = (numpy_of(w) for w in layer.weights)
    np.testing.assert_allclose(y, function(x @ w1 + b1) @ w2 + b2, atol=1e-5)


def test_the_two_gelus_differ():
    x = np.linspace(-4, 4, 100)
    assert 1e-5 < np.abs(erf_gelu(x) - tanh_gelu(x)).max() < 1e-2


def test_swiglu_is_its_formula():
    layer = SwiGLU(24)
    x = random(2, 3, 8)
    y = numpy_of(layer(x))
    fused, outer = (numpy_of(w) for w in layer.weights)
    gate, value = np.split(x @ fused, 2, axis=-1)
    np.testing.assert_allclose(y, (gate / (1 + np.exp(-gate)) * value) @ outer, atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_pre_and_post_norm(norm):
    x = random(2, 5, 16)
    pre, post = make_block(norm=norm), make_block(norm=norm, pre_norm=False)
    normed = numpy_of(post(x))
    if norm == "layer":
        np.testing.assert_allclose(normed.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose((normed**2).mean(-1), 1, atol=1e-2)
    pre(x)
    pre.set_weights([np.zeros(w.shape) for w in pre.get_weights()])
    np.testing.assert_allclose(numpy_of(pre(x)), x, atol=1e-6)  # the residual path is open


@pytest.mark.parametrize("pre_norm", [True, False])
def test_cached_equals_uncached_with_cross_attention(pre_norm):
    block = make_block(cross=True, pre_norm=pre_norm)
    x, context = random(2, 6, 16), ops.convert_to_tensor(random(2, 4, 16, seed=1))
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    whole = numpy_of(block(x, context=context, context_padding_mask=mask))
    cache = block.make_cache(2, 8, context=context)
    first, cache = block(x[:, :3], context_padding_mask=mask, cache=cache, start=0)
    rest, cache = block(x[:, 3:], context_padding_mask=mask, cache=cache, start=3)
    np.testing.assert_allclose(
        np.concatenate([numpy_of(first), numpy_of(rest)], axis=1), whole, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("pre_norm", [True, False])
def test_a_fully_padded_row_is_finite(dtype, pre_norm):
    keras.config.set_dtype_policy(dtype)
    try:
        block = make_block(pre_norm=pre_norm, feed_forward=SwiGLU)
        y = block(random(2, 4, 16), padding_mask=np.array([[0] * 4, [1] * 4]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(numpy_of(y)).all()


@pytest.mark.parametrize("cross", [True, False])
def test_comes_back_from_its_config(cross):
    block = make_block(cross=cross, dropout=0.1, norm="rms")
    x = random(1, 4, 16)
    call = {"context": random(1, 3, 16, seed=1)} if cross else {}
    y = block(x, **call)
    again = TransformerBlock.from_config(block.get_config())
    again(x, **call)
    again.set_weights(block.get_weights())
    np.testing.assert_array_equal(numpy_of(again(x, **call)), numpy_of(y))


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match=r"norm must be one of layer, rms; got 'batch'"):
        make_block(norm="batch")


def test_a_context_without_a_reader_and_a_reader_without_context_are_refused():
    x = random(1, 3, 16)
    fresh, built = make_block(name="alone"), make_block(name="alone")
    built(x)
    for block in (fresh, built):
        with pytest.raises(ValueError, match=r"alone has no cross-attention.*reads no context"):
            block(x, context=x)
    crossed = make_block(cross=True, name="crossed")
    with pytest.raises(ValueError, match=r"crossed has a cross-attention: pass the context"):
        crossed(x)
    crossed(x, context=x)
    for call in (lambda: crossed(x), lambda: crossed.make_cache(1, 4)):
        with pytest.raises(ValueError, match=r"crossed has a cross-attention: pass the context"):
            call()


def test_a_block_lets_its_attention_see_what_a_mask_allows():
    block, x = make_block(causal=False), random(1, 5, 16)
    own = np.eye(5, dtype=bool)[None, None]
    y = numpy_of(block(x, attention_mask=own))
    changed = x.copy()
    changed[:, 0] += 1
    np.testing.assert_allclose(numpy_of(block(changed, attention_mask=own))[:, 1:], y[:, 1:])


def test_projections_can_be_quantised_and_adapted():
    layer = FeedForward(32)
    x = random(2, 3, 16)
    before = numpy_of(layer(x))
    layer.inner.enable_lora(2)
    np.testing.assert_allclose(numpy_of(layer(x)), before, atol=1e-6)
    layer.outer.quantize("int8")
    np.testing.assert_allclose(numpy_of(layer(x)), before, atol=0.1)
    assert layer.outer.quantization_mode == "int8"


def trained_weights(layer):
    """The weights after a step of gradient descent."""
    model = keras.Sequential([keras.Input((5, 8)), layer])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
    for index, weight in enumerate(layer.weights):
        weight.assign(random(*weight.shape, seed=index))
    model.train_on_batch(random(2, 5, 8), random(2, 5, 8, seed=1))
    return [numpy_of(weight) for weight in layer.weights]


@pytest.mark.parametrize("make", [lambda: FeedForward(24, "gelu_tanh"), lambda: SwiGLU(24)])
def test_gradients_are_those_of_the_formula(make, monkeypatch):
    """The activation's inner steps are computed again for the backward pass."""
    seen = trained_weights(make())
    calls = []
    monkeypatch.setattr(
        "zoo.layers.feedforward.backend.recompute", lambda f, x: calls.append(f) or f(x)
    )
    expected = trained_weights(make())
    assert calls
    for one, other in zip(seen, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
