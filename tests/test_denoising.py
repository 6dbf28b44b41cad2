"""Denoising objectives: what was corrupted can be put together again, and rates are counted."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.objectives import SentencePermutation, SpanCorruption, TextInfilling

pytestmark = pytest.mark.backend_free

VOCAB, SEPARATOR, START, MASK = 1000, 1, 2, 3
SPECIAL = [SEPARATOR, START]
SENTINELS = list(range(1099, 999, -1))  # as T5 has them: the last ids, downwards


@pytest.fixture(scope="module")
def rows():
    """More than 10^6 tokens, a few of them special, in rows of different lengths."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(4, VOCAB, size=rng.integers(256, 513)) for _ in range(2800)]
    for row in rows:
        row[0] = START
        row[rng.random(len(row)) < 0.01] = SEPARATOR
    assert sum(np.sum(~np.isin(row, SPECIAL)) for row in rows) > 1_000_000
    return rows


@pytest.fixture(scope="module")
def corrupted(rows):
    objective = SpanCorruption(SENTINELS, SPECIAL)
    return objective(rows, np.random.default_rng(1))


@pytest.fixture(scope="module")
def infilled(rows):
    return TextInfilling(MASK, SPECIAL)(rows, np.random.default_rng(1))[0]


def spans_of(target, sentinels):
    """`{sentinel: what follows it}`, and the sentinels in their order."""
    places = np.flatnonzero(np.isin(target, sentinels))
    order = target[places].tolist()
    pieces = np.split(target, places)
    assert len(pieces[0]) == 0  # a target starts with a sentinel
    return {sentinel: piece[1:] for sentinel, piece in zip(order, pieces[1:], strict=True)}, order


def restored(source, target, sentinels=SENTINELS):
    """The row that a source and its target were made from."""
    spans, order = spans_of(target, sentinels)
    assert len(spans.pop(order[-1])) == 0  # the last one only ends the target
    found = source[np.isin(source, sentinels)].tolist()
    assert found == order[:-1]
    return [t for i in source.tolist() for t in (spans[i].tolist() if i in spans else [i])]


def ordinary(row):
    return ~np.isin(row, SPECIAL)


def test_source_and_target_give_the_row_again(rows, corrupted):
    for row, source, target in zip(rows, *corrupted, strict=True):
        assert source.dtype == target.dtype == "int32"
        assert restored(source, target) == row.tolist()


def test_sentinels_are_used_in_their_order(corrupted):
    for target in corrupted[1]:
        order = spans_of(target, SENTINELS)[1]
        assert order == SENTINELS[: len(order)]


def test_span_corruption_drops_its_share_in_spans_of_three(rows, corrupted):
    num_dropped = [np.sum(~np.isin(target, SENTINELS)) for target in corrupted[1]]
    expected = [round(0.15 * ordinary(row).sum()) for row in rows]
    assert num_dropped == expected
    total = sum(ordinary(row).sum() for row in rows)
    assert sum(num_dropped) / total == pytest.approx(0.15, abs=2e-4)
    whole = [row for row in rows if ordinary(row[1:]).all()]  # nothing special within a span
    sources, _ = SpanCorruption(SENTINELS, SPECIAL)(whole, np.random.default_rng(2))
    for row, source in zip(whole, sources, strict=True):
        num_spans = round(round(0.15 * (len(row) - 1)) / 3)
        assert np.isin(source, SENTINELS).sum() == num_spans
    num_spans = sum(np.isin(source, SENTINELS).sum() for source in corrupted[0])
    assert sum(num_dropped) / num_spans == pytest.approx(3, abs=0.1)  # specials cut a few


def test_special_tokens_stay_where_they_were(rows, corrupted, infilled):
    for row, source, target, masked in zip(rows, *corrupted, infilled, strict=True):
        specials = row[~ordinary(row)].tolist()
        assert source[np.isin(source, SPECIAL)].tolist() == specials
        assert masked[np.isin(masked, SPECIAL)].tolist() == specials
        assert not np.isin(target, SPECIAL).any()


def test_all_places_far_from_the_ends_are_as_likely():
    row, repeats = np.arange(4, 84), 3000
    dropped, hidden = np.zeros((2, VOCAB))
    _, targets = SpanCorruption(SENTINELS)([row] * repeats, np.random.default_rng(3))
    for target in targets:
        dropped[target[target < VOCAB]] += 1
    sources, _ = TextInfilling(MASK)([row] * repeats, np.random.default_rng(3))
    for source in sources:
        hidden[np.setdiff1d(row, source)] += 1
    for counts, rate in ((dropped, 0.15), (hidden, 0.3)):
        shares = counts[row] / repeats
        deviation = np.sqrt(rate * (1 - rate) / repeats)
        assert shares.mean() == pytest.approx(rate)
        assert abs(shares[10:-10] - rate).max() < 4.5 * deviation
        assert (shares[[0, -1]] > rate / 4).all()  # the ends less often, but they are


def test_spans_have_all_lengths(corrupted):
    lengths = Counter(
        len(span) for target in corrupted[1] for span in spans_of(target, SENTINELS)[0].values()
    )
    shares = np.array([lengths[n] for n in range(1, 8)]) / sum(
        count for length, count in lengths.items() if length
    )
    # A total cut at random into parts of mean 3: about geometric, 1/3 of them of length 1.
    assert shares == pytest.approx([1 / 3 * (2 / 3) ** n for n in range(7)], abs=0.012)


def aligned(row, source):
    """The number of tokens that each mask of the source stands for, as a regular expression finds.

    The tokens of `row` are all different, so there is one way or none.
    """
    pattern = "".join("((?:,[0-9]+)*?)" if i == MASK else f",{i}" for i in source.tolist())
    match = re.fullmatch(pattern, "".join(f",{i}" for i in row.tolist()))
    assert match is not None
    return [group.count(",") for group in match.groups()]


def test_infilling_hides_its_share_and_keeps_the_rest_in_order(rows, infilled):
    for row, source in zip(rows, infilled, strict=True):
        places = iter(row.tolist())
        kept = source[source != MASK].tolist()
        assert all(token in places for token in kept)  # a subsequence: `in` moves on
        num_hidden = len(row) - len(kept)
        assert num_hidden == round(0.3 * ordinary(row).sum())


def test_the_targets_of_infilling_are_the_rows(rows):
    _, targets = TextInfilling(MASK, SPECIAL)(rows[:20], np.random.default_rng(0))
    for row, target in zip(rows, targets, strict=False):
        assert target.tolist() == row.tolist()
        assert target.dtype == "int32"


def test_masks_stand_for_poisson_many_tokens():
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.arange(4, 504)) for _ in range(400)]  # all of a row different
    sources, _ = TextInfilling(MASK)(rows, rng)
    gaps, num_masks, num_hidden = Counter(), 0, 0
    for row, source in zip(rows, sources, strict=True):
        place = {token: i for i, token in enumerate(row.tolist())}
        positions = [-1 if i == MASK else place[i] for i in source.tolist()]
        kept = [i for i in positions if i >= 0]
        assert kept == sorted(kept)
        bounds = [-1, *kept, len(row)]
        masks = "".join("m" if i < 0 else "k" for i in positions).split("k")
        for before, after, between in zip(bounds[:-1], bounds[1:], masks, strict=True):
            assert after - before == 1 or between  # nothing is gone without a mask
            if len(between) == 1:
                gaps[after - before - 1] += 1
        num_masks += int(np.sum(source == MASK))
        num_hidden += len(row) - len(kept)
    assert num_hidden == 400 * 150
    # Of 50 spans or so of a row the last is cut, which makes them a little shorter than 3.
    assert num_hidden / num_masks == pytest.approx(3, abs=0.08)
    poisson = [np.exp(-3) * 3**n / np.prod(range(1, n + 1)) for n in range(8)]
    shares = np.array([gaps[n] for n in range(8)]) / gaps.total()
    assert shares == pytest.approx(poisson, abs=0.015)


def test_a_new_draw_each_call_and_the_same_from_the_same_seed(rows):
    documents = [np.split(row, [20, 50, 90]) for row in rows[:50]]
    for objective, data in (
        (SpanCorruption(SENTINELS), rows[:50]),
        (TextInfilling(MASK), rows[:50]),
        (SentencePermutation(), documents),
    ):
        rng = np.random.default_rng(7)
        first, second, again = (
            [source.tolist() for source in objective(data, generator)[0]]
            for generator in (rng, rng, np.random.default_rng(7))
        )
        assert first == again
        assert first != second


small_rows = st.lists(st.integers(0, 9), min_size=1, max_size=12)
rates = st.floats(0.01, 0.99)


@settings(deadline=None, max_examples=150)
@given(small_rows, rates, st.floats(1, 5), st.integers(0, 99))
def test_any_row_is_restored(row, rate, mean_span, seed):
    sentinels = [50, 20, 90, *range(30, 45)]
    objective = SpanCorruption(sentinels, [0, 1], rate, mean_span)
    (source,), (target,) = objective([row], np.random.default_rng(seed))
    assert restored(source, target, sentinels) == row
    assert [i for i in source if i < 2] == [i for i in row if i < 2]
    num_ordinary = sum(i > 1 for i in row)
    num_dropped = len(target) - np.isin(target, sentinels).sum()
    assert num_dropped == min(num_ordinary, max(1, round(rate * num_ordinary)))


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 12), rates, st.floats(0.1, 5), st.integers(0, 99))
def test_any_row_of_different_tokens_is_alignable(length, rate, mean_span, seed):
    row = np.arange(length) + 10
    objective = TextInfilling(MASK, [10], rate, mean_span)
    (source,), (target,) = objective([row], np.random.default_rng(seed))
    assert target.tolist() == row.tolist()
    hidden = aligned(row, source)
    assert sum(hidden) == min(length - 1, max(1, round(rate * (length - 1))))
    assert source[source != MASK].tolist() == [i for i in row.tolist() if i in source]
    assert 10 in source


def test_a_row_of_special_tokens_is_left_alone():
    (source,), (target,) = SpanCorruption(SENTINELS, SPECIAL)([[1, 2, 1]], np.random.default_rng(0))
    assert source.tolist() == [1, 2, 1]
    assert target.tolist() == SENTINELS[:1]
    (source,), _ = TextInfilling(MASK, SPECIAL)([[1, 2, 1]], np.random.default_rng(0))
    assert source.tolist() == [1, 2, 1]


def test_sentences_are_shuffled_and_whole():
    rng = np.random.default_rng(0)
    # Sentence n of a document is made of the numbers from 100 * n on.
    documents = [
        [np.arange(rng.integers(0, 30)) + 100 * n for n in range(rng.integers(1, 6))] + [[900]]
        for _ in range(300)
    ]
    sources, targets = SentencePermutation()(documents, rng)
    moved = 0
    for document, source, target in zip(documents, sources, targets, strict=True):
        assert source.dtype == target.dtype == "int32"
        assert target.tolist() == [i for sentence in document for i in sentence]
        order = list(dict.fromkeys((source // 100).tolist()))
        by_number = {sentence[0] // 100: sentence for sentence in document if len(sentence)}
        assert source.tolist() == [i for n in order for i in by_number[n]]
        assert sorted(order) == sorted(by_number)
        moved += order != sorted(order)
    assert moved > 150


def test_every_order_of_sentences_is_as_likely():
    sources, _ = SentencePermutation()([[[1], [2], [3]]] * 6000, np.random.default_rng(0))
    counts = Counter(tuple(source.tolist()) for source in sources)
    assert len(counts) == 6
    assert list(counts.values()) == pytest.approx([1000] * 6, abs=130)


def test_bart_has_both():
    documents = [[[11, 12, 13], [21, 22], [31, 32, 33, 34]]]
    rng = np.random.default_rng(0)
    (shuffled,), (target,) = SentencePermutation()(documents, rng)
    (source,), (middle,) = TextInfilling(MASK)([shuffled], rng)
    assert target.tolist() == [i for sentence in documents[0] for i in sentence]
    assert sorted(middle.tolist()) == target.tolist()
    assert sum(aligned(middle, source)) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpanCorruption([9]), r"a list of at least 2 token ids; got \[9\]\."),
        (lambda: SpanCorruption([9, 8, 9]), r"at least two different ids.*; got \[9, 8, 9\]\."),
        (lambda: SpanCorruption([9, 8], rate=0), r"above 0 and below 1; got 0\."),
        (lambda: SpanCorruption([9, 8], rate=1.0), r"above 0 and below 1; got 1\.0\."),
        (
            lambda: SpanCorruption([9, 8], mean_span=0.5),
            r"a number from 1 .*; got 0\.5\.",
        ),
        (lambda: TextInfilling(3, rate=1.2), r"above 0 and below 1; got 1\.2\."),
        (lambda: TextInfilling(3, mean_span=0), r"mean_span must be a number above 0; got 0\."),
    ],
    ids=["one", "repeated", "rate_0", "rate_1", "short_span", "infilling_rate", "no_span"],
)
def test_errors_of_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("objective", "rows", "message"),
    [
        (SpanCorruption([9, 8]), [[1], [5, 8, 5]], r"must hold none of them; got 8\. Choose ids"),
        (
            SpanCorruption([9, 8], rate=0.5, mean_span=1),
            [[1, 2, 3, 4, 5, 6]],
            r"A row of 3 spans needs 4 sentinels, .*; got 2\. Cut the rows shorter",
        ),
        (SpanCorruption([9, 8]), [[1], []], r"Each row must have a token in it; number 1 has none"),
        (
            TextInfilling(3),
            [[[1, 2]]],
            r"Each row must .*; got \[\[1, 2\]\] for number 0",
        ),
        (TextInfilling(3), [[0.5]], r"whole numbers; got \[0\.5\] for number 0\."),
        (SentencePermutation(), [[[1]], [[], []]], r"a token in it; number 1 has none\. Leave"),
        (
            SentencePermutation(),
            [[1, 2]],
            r"Each sentence of document 0 must .* got 1 for",
        ),
    ],
    ids=["sentinel", "few_sentinels", "empty", "nested", "floats", "no_sentence", "flat"],
)
def test_errors_of_rows(objective, rows, message):
    with pytest.raises(ValueError, match=message):
        objective(rows, np.random.default_rng(0))
