"""Attention: the formula, what a query may see, caches, heads and precision."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from zoo.backends import backend
from zoo.layers import (
    ALiBi,
    AttentionPosition,
    MultiHeadAttention,
    RelativePositionBias,
    RotaryEmbedding,
    masks,
)

POSITIONS = {
    "none": lambda causal: None,
    "rotary": lambda causal: RotaryEmbedding(),
    "alibi": lambda causal: ALiBi(num_heads=4),
    "t5": lambda causal: RelativePositionBias(num_heads=4, bidirectional=not causal),
}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy_of(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def make(position="none", causal=False, **kwargs):
    layer = MultiHeadAttention(4, causal=causal, position=POSITIONS[position](causal), **kwargs)
    return layer


def reference(layer, x, causal, mask=None):
    """The formula written out in NumPy, head by head."""
    x = x.astype("float64")
    kernel, bias = (numpy_of(w).astype("float64") for w in (layer.qkv.kernel, layer.qkv.bias))
    qkv = x @ kernel + bias
    width = layer.num_heads * layer.head_dim
    kv_width = layer.num_kv_heads * layer.head_dim
    query, key, value = np.split(qkv, [width, width + kv_width], axis=-1)
    outputs = []
    for head in range(layer.num_heads):
        kv_head = head // (layer.num_heads // layer.num_kv_heads)
        q = query[..., head * layer.head_dim : (head + 1) * layer.head_dim]
        k = key[..., kv_head * layer.head_dim : (kv_head + 1) * layer.head_dim]
        v = value[..., kv_head * layer.head_dim : (kv_head + 1) * layer.head_dim]
        scores = q @ k.swapaxes(1, 2) / math.sqrt(layer.head_dim)
        if causal:
            scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
        if mask is not None:
            scores = np.where(mask[:, None, :], scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        outputs.append(scores / scores.sum(-1, keepdims=True) @ v)
    out = layer.output_projection
    return np.concatenate(outputs, -1) @ numpy_of(out.kernel) + numpy_of(out.bias)


def test_worked_example_with_the_right_numbers():
    # q.k1 = 0.25 and q.k2 = 0.41; commonly printed with the weights 0.31 and 0.69.
    query = ops.reshape(ops.convert_to_tensor([0.5, 0.2, 0.3]), (1, 1, 1, 3))
    key = ops.reshape(ops.convert_to_tensor([[0.1, 0.7, 0.2], [0.6, 0.1, 0.3]]), (1, 2, 1, 3))
    value = ops.reshape(ops.convert_to_tensor([[0.2, 0.4, 0.0], [0.9, 0.1, 0.0]]), (1, 2, 1, 3))
    scores = np.exp(np.array([0.25, 0.41]) / math.sqrt(3))
    weights = scores / scores.sum()
    np.testing.assert_allclose(weights, [0.477, 0.523], atol=1e-3)
    layer = MultiHeadAttention(1, head_dim=3)
    layer.build((None, None, 3))
    attended = layer._attend(query, key, value, None, 0, False)
    expected = weights @ np.array([[0.2, 0.4], [0.9, 0.1]])
    np.testing.assert_allclose(expected, [0.566, 0.243], atol=1e-3)
    np.testing.assert_allclose(numpy_of(attended).ravel()[:2], expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
def test_equals_the_formula(causal, num_kv_heads):
    layer = make(causal=causal, num_kv_heads=num_kv_heads)
    x = random(2, 7, 16)
    y = numpy_of(layer(x))
    np.testing.assert_allclose(y, reference(layer, x, causal), atol=1e-5)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3], bool)
    y = numpy_of(layer(x, padding_mask=mask))
    np.testing.assert_allclose(y, reference(layer, x, causal, mask), atol=1e-5)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_causal_query_does_not_see_the_future(position):
    layer = make(position, causal=True)
    x = random(1, 8, 16)
    changed = x.copy()
    changed[:, 5:] += 1
    before, after = numpy_of(layer(x)), numpy_of(layer(changed))
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert np.abs(before[:, 5:] - after[:, 5:]).max() > 1e-3


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(position, causal):
    layer = make(position, causal=causal)
    x = random(1, 5, 16)
    padded = np.concatenate([x, 9 * random(1, 3, 16, seed=1)], axis=1)
    mask = np.array([[1] * 5 + [0] * 3])
    np.testing.assert_allclose(
        numpy_of(layer(padded, padding_mask=mask))[:, :5], numpy_of(layer(x)), atol=1e-5
    )


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_cached_equals_uncached(position, num_kv_heads):
    layer = make(position, causal=True, num_kv_heads=num_kv_heads)
    x = random(2, 9, 16)
    whole = numpy_of(layer(x))
    # Row 1 is read two tokens behind row 0: each row has a position of its own.
    prompt = np.stack([x[0, :5], np.concatenate([x[1, :3], 9 * random(2, 16)])])
    first, cache = layer(prompt, cache=layer.make_cache(2, 12), start=0)
    np.testing.assert_allclose(numpy_of(first)[0], whole[0, :5], atol=1e-5)
    np.testing.assert_allclose(numpy_of(first)[1, :3], whole[1, :3], atol=1e-5)
    for step in range(4):
        start = np.array([5 + step, 3 + step], "int32")
        token = np.stack([x[0, start[0]], x[1, start[1]]])[:, None]
        y, cache = layer(token, cache=cache, start=ops.convert_to_tensor(start))
        expected = np.stack([whole[0, start[0]], whole[1, start[1]]])
        np.testing.assert_allclose(numpy_of(y)[:, 0], expected, atol=1e-5)


def test_a_chunk_may_be_added_to_a_cache_at_once():
    layer = make("rotary", causal=True)
    x = random(1, 9, 16)
    whole = numpy_of(layer(x))
    _, cache = layer(x[:, :4], cache=layer.make_cache(1, 9), start=0)
    y, _ = layer(x[:, 4:], cache=cache, start=4)
    np.testing.assert_allclose(numpy_of(y), whole[:, 4:], atol=1e-5)


def test_cross_attention_reads_the_context_and_can_keep_it():
    layer = make()
    x, context = random(2, 3, 16), random(2, 6, 10, seed=1)
    mask = np.array([[1] * 6, [1] * 2 + [0] * 4])
    y = numpy_of(layer(x, context=context, padding_mask=mask))
    np.testing.assert_allclose(y[1:], numpy_of(layer(x[1:], context=context[1:, :2])), atol=1e-5)
    cache = layer.project_context(ops.convert_to_tensor(context))
    cached, _ = layer(x, cache=cache, padding_mask=mask)
    np.testing.assert_allclose(numpy_of(cached), y, atol=1e-6)


def test_several_rows_may_share_a_context():
    layer = make()
    x, context = random(6, 2, 16), random(2, 6, 10, seed=1)
    mask = np.array([[1] * 6, [1] * 2 + [0] * 4])
    y = layer(x, context=np.repeat(context, 3, axis=0), padding_mask=np.repeat(mask, 3, axis=0))
    cache = layer.project_context(ops.convert_to_tensor(context))
    shared, _ = layer(x, cache=cache, padding_mask=mask)
    np.testing.assert_allclose(numpy_of(shared), numpy_of(y), atol=1e-6)
    with pytest.raises(ValueError, match="must be a multiple of the context's; got 5 and 2"):
        layer(x[:5], cache=cache, padding_mask=mask)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("causal", [False, True])
def test_a_fully_padded_row_is_finite(dtype, position, causal):
    layer = make(position, causal=causal, dtype=dtype)
    mask = np.array([[0] * 4, [1] * 4])
    x = random(2, 4, 16)
    y = numpy_of(layer(x, padding_mask=mask))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y[1:], numpy_of(layer(x[1:])), atol=2e-2)


def test_a_query_that_may_see_nothing_sees_everything_on_every_backend():
    layer = make()
    x = random(1, 4, 16)
    y = numpy_of(layer(x, padding_mask=np.zeros((1, 4))))
    np.testing.assert_allclose(y, reference(layer, x, causal=False), atol=1e-5)


@pytest.mark.parametrize("position", POSITIONS)
def test_dropout_acts_in_training_only_and_keeps_the_mean(position):
    layer = make(position, causal=True, dropout=0.5)
    x = random(1, 6, 16)
    plain = make(position, causal=True)
    plain(x)
    plain.set_weights(layer.get_weights() if layer.built else (layer(x), layer.get_weights())[1])
    np.testing.assert_allclose(numpy_of(layer(x)), numpy_of(plain(x)), atol=1e-6)
    drops = np.stack([numpy_of(layer(x, training=True)) for _ in range(64)])
    assert np.abs(drops[0] - drops[1]).max() > 1e-3
    np.testing.assert_allclose(drops.mean(0), numpy_of(plain(x)), atol=0.6)


@pytest.mark.parametrize("position", POSITIONS)
def test_comes_back_from_its_config(position):
    layer = make(position, causal=True, num_kv_heads=2, dropout=0.1)
    x = random(1, 4, 16)
    y = layer(x)
    again = MultiHeadAttention.from_config(layer.get_config())
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numpy_of(again(x)), numpy_of(y))


@pytest.fixture
def kernel_calls(monkeypatch):
    """What the backend's kernel is asked for, also where the formula is the faster one."""
    calls = []
    kernel = backend.attention

    def spy(query, key, value, bias=None, mask=None, is_causal=False, scale=None):
        calls.append({"key": key, "bias": bias, "mask": mask, "is_causal": is_causal})
        return kernel(query, key, value, bias, mask, is_causal, scale)

    monkeypatch.setattr("zoo.layers.attention.backend.attention", spy)
    monkeypatch.setattr("zoo.layers.attention.backend.writes_attention_out", lambda *_: False)
    return calls


@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
def test_the_fused_kernel_gets_no_mask_and_no_repeated_keys(kernel_calls, num_kv_heads):
    layer = make(causal=True, dropout=0.1, num_kv_heads=num_kv_heads)
    x = random(2, 5, 16)
    y = numpy_of(layer(x))
    (call,) = kernel_calls
    assert call["is_causal"] is True
    assert call["mask"] is call["bias"] is None
    assert call["key"].shape[2] == num_kv_heads
    np.testing.assert_allclose(y, reference(layer, x, causal=True), atol=1e-5)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
@pytest.mark.parametrize("causal", [True, False])
def test_kernel_and_formula_are_equal(kernel_calls, monkeypatch, position, num_kv_heads, causal):
    layer = make(position, causal=causal, num_kv_heads=num_kv_heads)
    x, padding_mask = random(2, 5, 16), np.array([[1] * 5, [1, 1, 1, 0, 0]])
    attention_mask = np.random.default_rng(1).random((1, 4, 5, 5)) > 0.2
    calls = [{}, {"padding_mask": padding_mask}, {"attention_mask": attention_mask}]
    seen = [numpy_of(layer(x, **call)) for call in calls]
    assert len(kernel_calls) == 3
    assert {call["key"].shape[2] for call in kernel_calls} == {num_kv_heads}
    monkeypatch.setattr("zoo.layers.attention.backend.writes_attention_out", lambda *_: True)
    for one, call in zip(seen, calls, strict=True):
        np.testing.assert_allclose(numpy_of(layer(x, **call)), one, atol=1e-5)
    assert len(kernel_calls) == 3


def test_a_cache_of_fewer_heads_is_read_as_it_is(kernel_calls):
    layer = make(causal=True, num_kv_heads=2)
    x = random(2, 6, 16)
    layer(x)
    _, cache = layer(x[:, :4], cache=layer.make_cache(2, 8), start=0)
    layer(x[:, 4:], cache=cache, start=ops.convert_to_tensor([4, 4]))
    assert kernel_calls[-1]["key"].shape == (2, 8, 2, 4)


def test_a_mask_of_rows_and_heads_is_combined_with_the_others():
    layer = make(causal=True)
    x = random(2, 6, 16)
    window = np.tri(6, dtype=bool) & ~np.tri(6, k=-3, dtype=bool)  # itself and two before it
    y = numpy_of(layer(x, attention_mask=window[None, None]))
    changed = x.copy()
    changed[:, 0] += 1
    after = numpy_of(layer(changed, attention_mask=window[None, None]))
    np.testing.assert_allclose(after[:, 3:], y[:, 3:], atol=1e-6)
    assert np.abs(after[:, 1:3] - y[:, 1:3]).max() > 1e-3
    padding_mask = np.array([[1] * 6, [1] * 4 + [0] * 2], bool)
    both = numpy_of(layer(x, padding_mask=padding_mask, attention_mask=window[None, None]))
    one = numpy_of(layer(x, attention_mask=window & padding_mask[:, None, None]))
    np.testing.assert_allclose(both, one, atol=1e-6)


@pytest.mark.parametrize("drop", [False, True])
def test_scores_are_scaled_as_asked(drop):
    plain, scaled = make(), make(scale=1.0, dropout=1e-6 if drop else 0.0)
    x = random(2, 5, 16)
    before, _ = numpy_of(plain(x)), scaled(x)
    kernel, *others = (np.array(weight) for weight in plain.get_weights())
    scaled.set_weights([kernel, *others])
    doubled = np.where(np.arange(kernel.shape[1]) < 16, 2, 1) * kernel  # sqrt(head_dim) is 2
    plain.set_weights([doubled, *others])
    np.testing.assert_allclose(numpy_of(scaled(x, training=drop)), numpy_of(plain(x)), atol=1e-5)
    assert np.abs(before - numpy_of(plain(x))).max() > 1e-3


class Asked(AttentionPosition):
    """Relative scores in the manner of Transformer-XL: the query meets a vector of the distance."""

    def build(self, shape):
        self.vectors = self.add_weight((8, shape[-1]), "random_normal", name="vectors")

    def bias(self, query_length, key_length, start=0, query=None, key=None):
        distance = masks.positions(start, query_length)[:, :, None] - ops.arange(key_length)
        vectors = ops.take(self.vectors, ops.clip(distance, 0, 7), axis=0)
        return ops.einsum("bqhd,cqkd->bhqk", query, vectors)


def test_a_position_may_ask_what_the_query_is():
    layer = MultiHeadAttention(4, num_kv_heads=2, causal=True, position=Asked())
    x = random(1, 6, 16)
    whole = numpy_of(layer(x))
    first, cache = layer(x[:, :4], cache=layer.make_cache(1, 8), start=0)
    rest, _ = layer(x[:, 4:], cache=cache, start=4)
    both = np.concatenate([numpy_of(first), numpy_of(rest)], axis=1)
    np.testing.assert_allclose(both, whole, atol=1e-5)
    layer.position.vectors.assign(ops.zeros((8, 4)))
    assert np.abs(numpy_of(layer(x)) - whole).max() > 1e-3


def test_errors_say_what_must_hold():
    with pytest.raises(ValueError, match="must be a multiple of num_kv_heads; got 4 and 3"):
        MultiHeadAttention(4, num_kv_heads=3)
    with pytest.raises(
        ValueError, match="hidden_dim must be a multiple of num_heads; got 10 and 4"
    ):
        MultiHeadAttention(4)(random(1, 2, 10))

    with pytest.raises(ValueError, match="call or build it first"):
        MultiHeadAttention(4).make_cache(1, 8)

    own = make(name="own")
    own(random(1, 2, 16))
    with pytest.raises(ValueError, match=r"own is a self-attention.*reads no context"):
        own(random(1, 2, 16), context=random(1, 3, 16))
    cross = make(name="cross")
    cross(random(1, 2, 16), context=random(1, 3, 16))
    with pytest.raises(ValueError, match=r"cross is a cross-attention.*pass the context"):
        cross(random(1, 2, 16))


def test_works_inside_a_functional_model_of_unknown_length():
    inputs = keras.Input((None, 16))
    model = keras.Model(inputs, make("rotary", causal=True)(inputs))
    assert model.predict(random(2, 5, 16), verbose=0).shape == (2, 5, 16)
