"""Objectives, checked by counting."""

import numpy as np
import pytest

from zoo.objectives import PackedCausalLM, next_token_rows, pad

pytestmark = pytest.mark.backend_free


def documents(count=20, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 100, size=rng.integers(0, 30)).tolist() for _ in range(count)]


def stream_of(rows, separator=0):
    return [separator, *(t for row in rows for t in [*row, separator])]


@pytest.mark.parametrize("length", [1, 3, 8, 64])
def test_packing_drops_only_the_last_partial_row(length):
    docs = documents()
    x, y, weight = PackedCausalLM(length, separator_id=0)(docs)
    stream = stream_of(docs)
    assert x.shape == y.shape == ((len(stream) - 1) // length, length)
    assert x.ravel().tolist() == stream[: x.size]
    assert y.ravel().tolist() == stream[1 : x.size + 1]
    assert weight is None


@pytest.mark.parametrize("length", [3, 8, 64])
def test_packing_can_keep_the_last_row_with_weight_on_real_tokens_only(length):
    docs = documents()
    x, y, weight = PackedCausalLM(length, separator_id=0, drop_remainder=False)(docs)
    stream = stream_of(docs)
    weight = np.ones_like(x) if weight is None else weight
    real = weight.ravel() == 1
    assert x.ravel()[real].tolist() == stream[:-1]
    assert y.ravel()[real].tolist() == stream[1:]
    assert weight.sum() == len(stream) - 1


def test_less_than_one_row_is_kept():
    x, y, weight = PackedCausalLM(8, separator_id=0)([[5, 6]])
    assert x.tolist() == [[0, 5, 6, 0, 0, 0, 0, 0]]
    assert y.tolist() == [[5, 6, 0, 0, 0, 0, 0, 0]]
    assert weight.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]


def test_a_seed_orders_documents_the_same_way_each_time():
    docs = [[i] * 3 for i in range(1, 50)]
    first, again, other, plain = (
        PackedCausalLM(4, 0, seed=seed)(docs)[0].ravel().tolist() for seed in (1, 1, 2, None)
    )
    assert first == again
    assert first != other
    assert plain[:5] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("docs", [[], [[]], [[], []]])
def test_nothing_to_learn_from_is_refused(docs):
    with pytest.raises(ValueError, match="at least one document with a token"):
        PackedCausalLM(4, 0)(docs)


def test_rows_are_shifted_and_padding_weighs_nothing():
    x, y, weight = next_token_rows([[1, 2, 3, 0], [4, 5, 6, 7]], [[1, 1, 1, 0], [1, 1, 1, 1]])
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert y.tolist() == [[2, 3, 0], [5, 6, 7]]
    assert weight.tolist() == [[1, 1, 0], [1, 1, 1]]
    with pytest.raises(ValueError, match=r"at least 2 tokens a row.*got shape \(3, 1\)"):
        next_token_rows([[1], [2], [3]])


def test_pad_aligns_on_the_left():
    token_ids, mask = pad([[1, 2, 3], [], [4]])
    assert token_ids.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
