"""Masked tokens, checked by counting: their share, what hides them, whole words."""

import numpy as np
import pytest

from zoo.objectives import MaskTokens

pytestmark = pytest.mark.backend_free

VOCAB, PAD, START, SEPARATOR, MASK = 1000, 0, 1, 2, 3
SPECIAL = [PAD, START, SEPARATOR, MASK]
CONTINUES = np.arange(VOCAB) >= 700  # of ordinary ids, three in ten


def rows_of_tokens(rows=2000, length=512, seed=0):
    """More than 10^6 tokens, a few of them special, in rows of different lengths."""
    rng = np.random.default_rng(seed)
    token_ids = rng.integers(4, VOCAB, size=(rows, length))
    token_ids[rng.random(token_ids.shape) < 0.02] = SEPARATOR
    token_ids[:, 0] = START
    padding_mask = np.arange(length) < rng.integers(length // 2, length + 1, size=(rows, 1))
    padding_mask[: rows // 2] = True
    return token_ids, padding_mask  # what stands on padding looks like tokens


@pytest.fixture(scope="module", params=[None, CONTINUES], ids=["tokens", "words"])
def masked(request):
    """`(objective, token_ids, choosable, outputs)`, over single tokens and over whole words."""
    token_ids, padding_mask = rows_of_tokens(rows=2700)
    objective = MaskTokens(MASK, VOCAB, SPECIAL, continues=request.param)
    outputs = objective(token_ids, padding_mask, np.random.default_rng(1))
    choosable = padding_mask & ~np.isin(token_ids, SPECIAL)
    assert choosable.sum() > 1_000_000
    return objective, token_ids, choosable, outputs


def chosen_tokens(shape, positions, weight):
    """Bool `shape`, True where a position with a weight points to."""
    chosen = np.zeros(shape, int)
    row, slot = np.nonzero(weight)
    np.add.at(chosen, (row, positions[row, slot]), 1)
    assert chosen.max() <= 1  # none twice
    return chosen.astype(bool)


def test_masking_gives_each_row_its_share(masked):
    objective, token_ids, choosable, (_, positions, _, weight) = masked
    chosen = chosen_tokens(token_ids.shape, positions, weight)
    expected = np.array([max(1, round(0.15 * n)) for n in choosable.sum(axis=1)])
    if objective.continues is None:
        assert chosen.sum(axis=1).tolist() == expected.tolist()
    else:  # the last free places of a row may be too few for any word
        assert (chosen.sum(axis=1) <= expected).all()
        assert chosen.sum() > 0.999 * expected.sum()
    assert chosen.sum() / choosable.sum() == pytest.approx(0.15, abs=2e-4)


def test_masking_chooses_no_special_token_and_no_padding(masked):
    _, token_ids, choosable, (masked_ids, positions, _, weight) = masked
    chosen = chosen_tokens(token_ids.shape, positions, weight)
    assert not (chosen & ~choosable).any()
    assert (masked_ids == token_ids)[~chosen].all()


def test_masking_labels_what_was_there_from_the_left(masked):
    _, token_ids, _, (masked_ids, positions, labels, weight) = masked
    assert masked_ids.shape == token_ids.shape
    assert positions.shape == labels.shape == weight.shape == (len(token_ids), 77)  # ceil(76.8)
    assert [x.dtype for x in (masked_ids, positions, labels)] == ["int32"] * 3
    assert weight.dtype == "float32"
    used = weight == 1
    assert (used | (weight == 0)).all()
    assert (used[:, :-1] >= used[:, 1:]).all()  # the unused slots are the last
    assert (np.take_along_axis(token_ids, positions, axis=1) == labels)[used].all()
    assert (np.diff(positions, axis=1) > 0)[used[:, 1:]].all()
    assert not positions[~used].any()
    assert not labels[~used].any()


def test_masking_hides_eight_of_ten_and_changes_one(masked):
    _, _, _, (masked_ids, positions, labels, weight) = masked
    used = weight == 1
    now, before = np.take_along_axis(masked_ids, positions, axis=1)[used], labels[used]
    is_mask, same = now == MASK, now == before
    # Five standard deviations of 150,000 draws; a random id is the old one once in a thousand.
    assert is_mask.mean() == pytest.approx(0.8, abs=0.0052)
    assert same.mean() == pytest.approx(0.1001, abs=0.004)
    random = now[~is_mask & ~same]
    assert random.size / now.size == pytest.approx(0.0999, abs=0.004)
    assert not np.isin(random, SPECIAL).any()
    assert set(random.tolist()) == set(range(4, VOCAB))
    # The draw is made for each token: whether one is hidden says nothing of the next.
    together = (is_mask[1:] & is_mask[:-1]).mean()
    assert together == pytest.approx(0.64, abs=0.01)


def test_single_tokens_are_chosen_evenly():
    token_ids = np.full((20_000, 50), 7)
    objective = MaskTokens(MASK, VOCAB, SPECIAL)
    rng = np.random.default_rng(0)
    _, positions, _, weight = objective(token_ids, np.ones(token_ids.shape, bool), rng)
    share = chosen_tokens(token_ids.shape, positions, weight).mean(axis=0)
    assert share == pytest.approx(np.full(50, 8 / 50), abs=0.013)  # round(7.5) is 8; 5 sigma


def words_of(token_ids, choosable):
    """Each row's words as lists of positions."""
    for ids, allowed in zip(token_ids.tolist(), choosable.tolist(), strict=True):
        words = []
        for i, token in enumerate(ids):
            if allowed[i] and CONTINUES[token] and i and allowed[i - 1]:
                words[-1].append(i)
            elif allowed[i]:
                words.append([i])
        yield words


def test_whole_words_are_chosen_and_as_many_as_fit():
    token_ids, padding_mask = rows_of_tokens(rows=300, length=128)
    choosable = padding_mask & ~np.isin(token_ids, SPECIAL)
    objective = MaskTokens(MASK, VOCAB, SPECIAL, continues=CONTINUES)
    _, positions, _, weight = objective(token_ids, padding_mask, np.random.default_rng(0))
    chosen = chosen_tokens(token_ids.shape, positions, weight)
    num_long = 0
    for row, words in zip(chosen, words_of(token_ids, choosable), strict=True):
        taken = [len(word) for word in words if row[word].all()]
        left = [len(word) for word in words if not row[word].any()]
        assert len(taken) + len(left) == len(words)  # none in part
        room = max(1, round(0.15 * sum(map(len, words)))) - sum(taken)
        assert 0 <= room < min(left)
        num_long += sum(size > 2 for size in taken)
    assert num_long > 100


def test_a_word_that_is_too_long_is_skipped_while_others_fit():
    token_ids = np.array([[10, *[800] * 15, 20, 30, 40, 50]])  # 20 tokens: 3 are chosen
    objective = MaskTokens(MASK, VOCAB, continues=CONTINUES)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        _, positions, _, weight = objective(token_ids, np.ones((1, 20)), rng)
        assert weight.sum() == 3
        assert set(positions[0].tolist()) < {16, 17, 18, 19}


def test_words_that_are_all_too_long_are_chosen_in_part():
    token_ids = np.array([[START, 10, *[800] * 9, 20, *[800] * 9, SEPARATOR, PAD]])
    objective = MaskTokens(MASK, VOCAB, SPECIAL, continues=CONTINUES)
    seen = set()
    for seed in range(20):
        _, positions, labels, weight = objective(
            token_ids, token_ids != PAD, np.random.default_rng(seed)
        )
        assert weight.tolist() == [[1, 1, 1, 0]]  # round(0.15 * 20) of ceil(0.15 * 23) slots
        assert labels[0].tolist() in ([10, 800, 800, 0], [20, 800, 800, 0])
        seen.add(tuple(positions[0].tolist()))
    assert seen == {(1, 2, 3, 0), (11, 12, 13, 0)}


def test_a_special_token_or_padding_parts_two_words():
    token_ids = np.array([[800, 800, SEPARATOR, 800, 10, 800]])
    padding_mask = np.array([[1, 1, 1, 1, 0, 1]], bool)
    objective = MaskTokens(MASK, VOCAB, SPECIAL, rate=0.25, continues=CONTINUES)  # 1 of 4
    seen = set()
    for seed in range(50):
        _, positions, _, weight = objective(token_ids, padding_mask, np.random.default_rng(seed))
        assert weight.sum() == 1
        seen.add(int(positions[0, 0]))
    assert seen == {3, 5}  # the word of two never fits


@pytest.mark.parametrize("continues", [None, CONTINUES], ids=["tokens", "words"])
def test_masking_is_dynamic_and_seeded(continues):
    token_ids, padding_mask = rows_of_tokens(rows=20, length=64)
    before = token_ids.copy()
    objective = MaskTokens(MASK, VOCAB, SPECIAL, continues=continues)
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    first, second = (objective(token_ids, padding_mask, rng) for _ in range(2))
    for expected, got in zip(first, objective(token_ids, padding_mask, same), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert (first[1] != second[1]).any(axis=1).all()
    assert (token_ids == before).all()


def test_masking_keeps_to_max_predictions():
    token_ids, padding_mask = rows_of_tokens(rows=20, length=64)
    rng = np.random.default_rng(0)
    few = MaskTokens(MASK, VOCAB, SPECIAL, max_predictions=2)(token_ids, padding_mask, rng)
    assert few[1].shape == (20, 2)
    assert (few[3] == 1).all()
    many = MaskTokens(MASK, VOCAB, SPECIAL, rate=1, max_predictions=70)
    _, positions, _, weight = many(token_ids, padding_mask, rng)
    assert positions.shape == (20, 70)
    choosable = padding_mask & ~np.isin(token_ids, SPECIAL)
    assert (chosen_tokens(token_ids.shape, positions, weight) == choosable).all()


@pytest.mark.parametrize("continues", [None, CONTINUES], ids=["tokens", "words"])
def test_rows_with_little_or_nothing_to_choose(continues):
    token_ids = np.array([[START, 5, SEPARATOR, PAD], [START, SEPARATOR, PAD, PAD], [MASK] * 4])
    objective = MaskTokens(MASK, VOCAB, [PAD, START, SEPARATOR], continues=continues)
    masked_ids, positions, labels, weight = objective(
        token_ids, token_ids != PAD, np.random.default_rng(0)
    )
    assert positions.tolist() == [[1], [0], [0]]
    assert labels.tolist() == [[5], [0], [0]]
    assert weight.tolist() == [[1], [0], [0]]
    assert (masked_ids[1:] == token_ids[1:]).all()
    for shape in [(0, 4), (3, 0)]:
        outputs = objective(np.zeros(shape, int), np.zeros(shape, bool), np.random.default_rng(0))
        assert [x.shape for x in outputs] == [shape, *[(shape[0], 1)] * 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, r"rate is the share .* above 0; got 0\."),
        ({"rate": 15}, r"rate must be a number from 0 to 1; got 15\."),
        ({"rate": float("nan")}, r"rate must be a number from 0 to 1; got nan\."),
        ({"max_predictions": 0}, r"max_predictions must be an integer from 1 .*got 0\."),
        ({"mask_id": 10}, r"ids of the vocabulary, from 0 to 9; got 10\."),
        ({"special_ids": [2, -1]}, r"special_ids must be a list of token ids; got \[2, -1\]\."),
        ({"special_ids": range(9), "mask_id": 9}, "must have one; all of its 10 ids are special"),
        ({"continues": [True] * 9}, r"one bool for each of the 10 ids.*got shape \(9,\)"),
        ({"continues": [1] * 10}, r"one bool for each of the 10 ids.*dtype int64"),
    ],
    ids=[
        "rate-0",
        "rate-15",
        "rate-nan",
        "no-slots",
        "mask-outside",
        "special-outside",
        "all-special",
        "continues-shape",
        "continues-dtype",
    ],
)
def test_masking_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskTokens(**{"mask_id": 3, "vocab_size": 10, **arguments})


@pytest.mark.parametrize(
    ("token_ids", "padding_mask", "message"),
    [
        ([[1, 10]], [[1, 1]], r"from 0 to 9, padding included; got 10\."),
        ([[1, -2]], [[1, 0]], r"from 0 to 9, padding included; got -2\."),
        ([[1.0, 2.0]], [[1, 1]], r"whole numbers; got dtype float64\."),
        ([[1, 2]], [[1]], r"same shape \(rows, length\); got \(1, 2\) and \(1, 1\)\."),
        ([1, 2], [1, 1], r"same shape \(rows, length\); got \(2,\) and \(2,\)\."),
    ],
    ids=["above", "below", "float", "shapes", "one-row"],
)
def test_masking_refuses_bad_rows(token_ids, padding_mask, message):
    with pytest.raises(ValueError, match=message):
        MaskTokens(3, 10)(token_ids, padding_mask, np.random.default_rng(0))
