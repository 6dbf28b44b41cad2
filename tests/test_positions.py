"""Positions: the formulas, and what each promises about distance."""

import math

import numpy as np
import pytest
from keras import ops

from zoo.layers import (
    ALiBi,
    PositionEmbedding,
    RelativePositionBias,
    RotaryEmbedding,
    SinusoidalPositions,
)
from zoo.layers.positions import alibi_slopes


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_sinusoids_are_the_formula_of_2017():
    table = ops.convert_to_numpy(SinusoidalPositions()(random(1, 20, 8)))[0]
    for position in (0, 1, 19):
        for i in range(4):
            angle = position / 10_000 ** (2 * i / 8)
            assert table[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize("layer", [SinusoidalPositions(), PositionEmbedding(12)])
def test_start_moves_the_window(layer):
    x = random(2, 12, 8)
    whole = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x[:, :4], start=5)), whole[:, 5:9])
    starts = ops.convert_to_tensor(np.array([3, 8], "int32"))
    rows = ops.convert_to_numpy(layer(x[:, :4], start=starts))
    np.testing.assert_allclose(rows, np.stack([whole[0, 3:7], whole[0, 8:12]]))


def test_rotary_scores_depend_only_on_distance():
    rotary = RotaryEmbedding()
    query, key = random(1, 1, 2, 8), random(1, 1, 2, 8, seed=1)

    def score(query_position, key_position):
        q = ops.convert_to_numpy(rotary(query, start=query_position))
        k = ops.convert_to_numpy(rotary(key, start=key_position))
        return (q * k).sum(-1)

    np.testing.assert_allclose(score(7, 3), score(104, 100), atol=1e-4)
    assert np.abs(score(7, 3) - score(7, 4)).max() > 1e-3


def test_rotary_keeps_lengths_and_the_origin():
    x = random(2, 6, 3, 8)
    turned = ops.convert_to_numpy(RotaryEmbedding()(x))
    np.testing.assert_allclose(turned[:, 0], x[:, 0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(x, axis=-1), 1e-5)


def test_rotary_by_hand():
    x = np.array([1.0, 0.0], "float32").reshape(1, 1, 1, 2)
    turned = ops.convert_to_numpy(RotaryEmbedding()(x, start=3)).ravel()
    np.testing.assert_allclose(turned, [math.cos(3), math.sin(3)], atol=1e-6)


def test_alibi_slopes_of_the_paper():
    eight, twelve = (ops.convert_to_numpy(alibi_slopes(n)) for n in (8, 12))
    np.testing.assert_allclose(eight, [2.0**-i for i in range(1, 9)])
    np.testing.assert_allclose(twelve[:8], eight)
    np.testing.assert_allclose(twelve[8:], [2.0 ** -(i + 0.5) for i in range(4)], rtol=1e-6)


def test_alibi_bias_is_minus_slope_times_distance():
    bias = ops.convert_to_numpy(ALiBi(2).bias(3, 5, start=2))
    assert bias.shape == (1, 2, 3, 5)
    slope = ops.convert_to_numpy(alibi_slopes(2))[1]
    np.testing.assert_allclose(bias[0, 1, 0], [-2 * slope, -slope, 0, -slope, -2 * slope])


def t5_bucket(offset, bidirectional, num_buckets=32, max_distance=128):
    """Scalar bucket rule from the paper's description: exact small distances, then logarithmic."""
    bucket = 0
    if bidirectional:
        num_buckets //= 2
        bucket += num_buckets if offset > 0 else 0
        distance = abs(offset)
    else:
        distance = max(-offset, 0)
    exact = num_buckets // 2
    if distance < exact:
        return bucket + distance
    log = math.log(distance / exact) / math.log(max_distance / exact)
    return bucket + min(exact + int(log * (num_buckets - exact)), num_buckets - 1)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_t5_buckets(bidirectional):
    layer = RelativePositionBias(num_heads=3, bidirectional=bidirectional)
    offsets = np.array([o for o in range(-300, 301) if abs(o) not in (16, 32, 64, 128)])
    buckets = ops.convert_to_numpy(layer._bucket(ops.convert_to_tensor(offsets.astype("int32"))))
    assert buckets.tolist() == [t5_bucket(o, bidirectional) for o in offsets.tolist()]


def test_t5_bias_depends_only_on_distance():
    bias = ops.convert_to_numpy(RelativePositionBias(num_heads=3).bias(6, 6))
    assert bias.shape == (1, 3, 6, 6)
    np.testing.assert_allclose(bias[..., :-1, :-1], bias[..., 1:, 1:])


def test_errors_say_what_must_hold():
    with pytest.raises(ValueError, match="head_dim must be even; got 5"):
        RotaryEmbedding()(random(1, 2, 1, 5))
    with pytest.raises(ValueError, match="hidden_dim must be even; got 7"):
        SinusoidalPositions()(random(1, 2, 7))
    with pytest.raises(ValueError, match=r"at most 4 tokens at once .* got a sequence of 5"):
        PositionEmbedding(4)(random(1, 5, 8))
