"""Kneser-Ney counts: equal to the definition, written down with dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.training.ngram import KneserNey, estimate_discounts

pytestmark = pytest.mark.backend_free


class Slow:
    """The same model as its paper defines it, one n-gram at a time."""

    def __init__(self, order, ids, vocab_size):
        self.vocab_size = vocab_size
        grams = [
            [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)] for n in range(1, order + 1)
        ]
        self.counts = [Counter(gram[1:] for gram in set(longer)) for longer in grams[1:]]
        self.counts.append(Counter(grams[-1]))
        self.discounts = [self.estimate(counts) for counts in self.counts]
        self.after = [defaultdict(dict) for _ in self.counts]
        for table, counts in zip(self.after, self.counts, strict=True):
            for gram, count in counts.items():
                table[gram[:-1]][gram[-1]] = count

    def estimate(self, counts):
        n = Counter(counts.values())
        try:
            y = n[1] / (n[1] + 2 * n[2])
            discounts = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        except ZeroDivisionError:
            return (0.5, 1.0, 1.5)
        if any(not 0 < d <= k for k, d in enumerate(discounts, start=1)):
            return (0.5, 1.0, 1.5)
        return tuple(discounts)

    def probability(self, context, token):
        if not context:
            shorter = 1 / self.vocab_size
        else:
            shorter = self.probability(context[1:], token)
        followers = self.after[len(context)].get(tuple(context))
        if not followers:
            return shorter
        discount = {0: 0, **dict(enumerate(self.discounts[len(context)], start=1))}
        total = sum(followers.values())
        taken = sum(discount[min(count, 3)] for count in followers.values())
        count = followers.get(token, 0)
        return (count - discount[min(count, 3)]) / total + taken / total * shorter


def text(length, vocab_size=12, seed=0):
    """Ids with a structure: the next depends on the two before it, mostly."""
    rng = np.random.default_rng(seed)
    ids = [0, 1]
    for draw in rng.random(length - 2):
        usual = (3 * ids[-1] + ids[-2]) % (vocab_size - 2)
        ids.append(usual if draw < 0.6 else int(draw * 1000) % (vocab_size - 2))
    return np.array(ids)  # the last two ids of the vocabulary never occur


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [8, 300, 3000])
def test_equal_to_the_definition(order, length):
    ids, others = text(length), text(200, seed=1)
    others[50:60] = [10, 11, 11, 10, 0, 0, 0, 0, 0, 11]  # never seen
    model, slow = KneserNey(order).fit(ids, 12), Slow(order, ids.tolist(), 12)
    assert np.array(model.discounts) == pytest.approx(np.array(slow.discounts))
    for stream in (ids[:100], others):
        tokens = stream.tolist()
        expected = [
            -math.log(slow.probability(tokens[max(0, i - order + 1) : i], token))
            for i, token in enumerate(tokens)
        ]
        nats = model.nats(stream)
        assert nats.dtype == "float64"
        assert nats.tolist() == pytest.approx(expected)


def test_the_small_texts_have_both_kinds_of_discounts():
    assert KneserNey(5).fit(text(8), 12).discounts[-1] == (0.5, 1.0, 1.5)
    assert KneserNey(5).fit(text(3000), 12).discounts[-1] != (0.5, 1.0, 1.5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=40), st.integers(1, 4), st.data())
def test_probabilities_sum_to_one_and_none_is_zero(ids, order, data):
    model = KneserNey(order).fit(ids, 7)
    context = data.draw(st.lists(st.integers(0, 6), max_size=6))
    distribution = model.distribution(context)
    assert distribution.sum() == pytest.approx(1)
    assert distribution.min() > 0
    for token in range(7):
        nats = model.nats([*context, token])[-1]
        assert math.exp(-nats) == pytest.approx(distribution[token])


def test_an_unseen_context_is_cut_until_it_is_known():
    model = KneserNey(4).fit(text(500), 12)
    seen = text(500)[100:102]
    assert model.distribution([11, *seen]).tolist() == model.distribution(seen).tolist()
    assert model.distribution([3, 4, 11]).tolist() == model.distribution().tolist()
    assert model.distribution([5, 5, 5, *seen, 2]).tolist() == pytest.approx(
        model.distribution([*seen, 2])
    )


def test_a_bigram_by_hand():
    # Pairs: 01 twice, 12, 20, 10 once. Different tokens before 0: 2, before 1: 1, before 2: 1.
    model = KneserNey(2).fit([0, 1, 2, 0, 1, 0], 4)
    assert model.discounts == [(0.5, 1.0, 1.5)] * 2
    rest = (1.0 + 0.5 + 0.5) / 4
    unigram = np.array([2 - 1.0, 1 - 0.5, 1 - 0.5, 0]) / 4 + rest / 4
    assert model.distribution() == pytest.approx(unigram)
    after_1 = np.array([0.5, 0, 0.5, 0]) / 2 + (0.5 + 0.5) / 2 * unigram
    assert model.distribution([1]) == pytest.approx(after_1)
    after_0 = np.array([0, 2 - 1.0, 0, 0]) / 2 + 1.0 / 2 * unigram
    assert model.distribution([0]) == pytest.approx(after_0)
    assert model.distribution([3]) == pytest.approx(unigram)


def test_the_context_that_is_needed_gives_the_entropy_of_the_source():
    train, test = text(20_000), text(3000, seed=5)
    nats = [KneserNey(order).fit(train, 12).nats(test).mean() for order in (1, 2, 3)]
    # One token says nothing about the next, two say what it is in six of ten cases.
    assert nats[:2] == pytest.approx([math.log(10)] * 2, abs=0.01)
    known = 0.6 + 0.4 / 10
    assert nats[2] == pytest.approx(-known * math.log(known) - 0.36 * math.log(0.04), abs=0.05)


def test_a_word_of_one_context_is_less_likely_than_one_of_many():
    # 1 occurs as often as 2, but always after 0: Kneser and Ney's "Francisco".
    ids = [0, 1] * 30 + [i for other in range(4, 34) for i in (other, 2)]
    distribution = KneserNey(2).fit(ids, 40).distribution([39])
    assert np.bincount(ids)[1] == np.bincount(ids)[2]
    assert distribution[1] < distribution[2] / 3


def test_a_stream_of_many_ids_and_long_contexts():
    # Packed as five ids of 20 bits, these n-grams would not fit into 64 bits.
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**20, 2000)
    model = KneserNey(5).fit(np.tile(ids, 3), 2**20)
    assert np.exp(-model.nats(ids)[4:]).min() > 0.4  # each was seen after these four, thrice
    assert model.nats(rng.integers(0, 2**20, 100)).max() < 1.1 * math.log(2**20) + 1


def test_fitting_again_forgets():
    model = KneserNey(3).fit(text(400), 12)
    again = model.fit(text(300, seed=2), 12).nats(text(50))
    assert again.tolist() == KneserNey(3).fit(text(300, seed=2), 12).nats(text(50)).tolist()
    assert model.nats([]).shape == (0,)


def test_discounts_are_the_papers_formula():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 12, 7])
    y = 100 / 180
    expected = (1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.6)
    assert estimate_discounts(counts) == pytest.approx(expected)
    # More triples than pairs: D(2) would be below 0.
    assert estimate_discounts(np.repeat([1, 2, 3, 4], [50, 10, 40, 5])) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KneserNey(0), r"order must be at least 1.*; got 0\."),
        (lambda: KneserNey(3).fit([1, 2], 5), r"To count 3 tokens in a row .*; got 2\."),
        (lambda: KneserNey(1).fit([], 5), r"To count 1 tokens in a row .*; got 0\."),
        (lambda: KneserNey(1).fit([1, 5], 5), r"from 0 to 4; got 5\."),
        (lambda: KneserNey(1).fit([-1, 5], 5), r"from 0 to 4; got -1\."),
        (lambda: KneserNey(1).fit([[1, 2]], 5), r"one stream .* got shape \(1, 2\) and dtype int"),
        (lambda: KneserNey(1).fit([0.5], 5), r"got shape \(1,\) and dtype float64"),
        (lambda: KneserNey(1).fit([0], 0), r"vocab_size must be at least 1; got 0\."),
        (lambda: KneserNey(1).nats([0]), r"no counts yet: call fit\(ids, vocab_size\) first"),
        (lambda: KneserNey(1).fit([0], 2).nats([2]), r"from 0 to 1; got 2\."),
        (lambda: KneserNey(2).fit([0, 1], 2).distribution([7]), r"from 0 to 1; got 7\."),
    ],
    ids=[
        *("order", "short", "empty", "high", "low", "nested", "floats", "vocabulary", "unfitted"),
        *("nats", "context"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
