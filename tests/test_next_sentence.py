"""Pairs of texts for next sentences, checked by counting."""

from itertools import pairwise

import numpy as np
import pytest

from zoo.objectives import NextSentencePairs

pytestmark = pytest.mark.backend_free

# A token's id says where it stands: ids of a document are consecutive numbers.
START, SEPARATOR = 1, 2
FIRST_ID = 10
DOCUMENT_IDS = 20_000


def numbered_documents(sizes):
    """Documents whose sentences have the given numbers of tokens, all of different ids."""
    documents = []
    for i, lengths in enumerate(sizes):
        ends = FIRST_ID + i * DOCUMENT_IDS + np.cumsum([0, *lengths])
        assert ends[-1] - ends[0] < DOCUMENT_IDS
        documents.append([list(range(a, b)) for a, b in pairwise(ends.tolist())])
    return documents


def random_documents(count=60, sentences=150, longest=30, seed=0):
    rng = np.random.default_rng(seed)
    return numbered_documents(rng.integers(1, longest + 1, size=(count, sentences)).tolist())


def document_of(ids):
    """The index of the document that all the ids are from."""
    indices = {(token - FIRST_ID) // DOCUMENT_IDS for token in ids}
    assert len(indices) == 1
    return indices.pop()


def unpacked(outputs):
    """Check the layout of all rows; yield `(A, B, label)`."""
    token_ids, segment_ids, padding_mask, labels = outputs
    rows, length = token_ids.shape
    assert [x.dtype for x in outputs] == ["int32", "int32", "bool", "int32"]
    assert segment_ids.shape == padding_mask.shape == (rows, length)
    assert labels.shape == (rows,)
    for ids, segments, mask, label in zip(*(x.tolist() for x in outputs), strict=True):
        first_end = ids.index(SEPARATOR)
        end = ids.index(SEPARATOR, first_end + 1) + 1
        assert ids[0] == START
        assert ids.count(START) == 1
        assert ids.count(SEPARATOR) == 2
        assert ids[end:] == [0] * (length - end)
        assert mask == [True] * end + [False] * (length - end)
        assert segments == [0] * (first_end + 1) + [1] * (end - first_end - 1) + [0] * (
            length - end
        )
        first, second = ids[1:first_end], ids[first_end + 1 : end - 1]
        for text in (first, second):
            assert text
            assert all(b == a + 1 for a, b in pairwise(text))
        yield first, second, label


@pytest.mark.parametrize("length", [5, 16, 128])
def test_next_is_next_and_random_is_from_elsewhere(length):
    objective = NextSentencePairs(length, START, SEPARATOR)
    documents = random_documents()
    ends = {sentence[-1] for document in documents for sentence in document}
    starts = {sentence[0] for document in documents for sentence in document}
    num_adjacent = 0
    for first, second, label in unpacked(objective(documents, np.random.default_rng(0))):
        cut = len(first) + len(second) == length - 3  # full: tokens may have been cut off
        if label == 0:
            assert document_of(first) == document_of(second)
            assert second[0] > first[-1]
            num_adjacent += second[0] == first[-1] + 1
        else:
            assert document_of(first) != document_of(second)
        if not cut:
            assert {first[0], second[0]} <= starts
            assert {first[-1], second[-1]} <= ends
            assert label == 1 or second[0] == first[-1] + 1
    assert num_adjacent > 100 or length < 16


@pytest.mark.parametrize("longest", [3, 30, 300], ids=lambda n: f"to-{n}")
def test_labels_are_balanced_however_long_the_sentences(longest):
    documents = random_documents(sentences=60, longest=longest, count=150)
    labels = NextSentencePairs(32, START, SEPARATOR)(documents, np.random.default_rng(0))[3]
    # Each document's last sentence may be alone, and then is a row of class 1 more.
    share = labels.mean()
    assert 0.5 - 2.5 / len(labels) ** 0.5 < share
    assert share < 0.5 + 2.5 / len(labels) ** 0.5 + len(documents) / len(labels) / 2


def test_the_draw_is_fair_where_both_labels_are_possible():
    # Of two sentences the first draw decides: next, and the document is one row, or random, and
    # its second sentence is left alone and makes another.
    documents = numbered_documents([[4, 4]] * 1500)
    pairs = list(unpacked(NextSentencePairs(32, START, SEPARATOR)(documents, generator())))
    rows = np.bincount([document_of(first) for first, _, _ in pairs], minlength=1500)
    assert set(rows.tolist()) == {1, 2}
    num_next = sum(label == 0 for _, _, label in pairs)
    assert num_next == (rows == 1).sum()
    assert num_next / 1500 == pytest.approx(0.5, abs=0.05)


def generator():
    return np.random.default_rng(0)


def test_what_a_random_text_replaced_is_used_again():
    documents = random_documents(count=20, sentences=12, longest=9)
    objective = NextSentencePairs(1000, START, SEPARATOR, short_rate=0)  # nothing is cut
    used = [[] for _ in documents]
    for first, second, label in unpacked(objective(documents, generator())):
        used[document_of(first)] += first if label else first + second
    assert used == [
        [token for sentence in document for token in sentence] for document in documents
    ]


def test_random_texts_come_from_everywhere_else():
    documents = random_documents(count=5, sentences=30, longest=4)
    sources = np.zeros((5, 5), int)
    starts = set()
    for seed in range(60):
        objective = NextSentencePairs(12, START, SEPARATOR, short_rate=0)
        for first, second, label in unpacked(objective(documents, np.random.default_rng(seed))):
            if label:
                sources[document_of(first), document_of(second)] += 1
                starts.add(second[0])
    assert not np.diag(sources).any()
    share = sources / sources.sum(axis=1, keepdims=True)
    assert share[~np.eye(5, dtype=bool)] == pytest.approx(np.full(20, 0.25), abs=0.06)
    assert starts >= {sentence[0] for document in documents for sentence in document}


def test_a_run_is_cut_at_any_of_its_sentence_boundaries():
    documents = numbered_documents([[4] * 5] * 800)
    objective = NextSentencePairs(32, START, SEPARATOR, short_rate=0)
    sizes = [
        len(first)
        for first, second, label in unpacked(objective(documents, generator()))
        if label == 0 and len(first) + len(second) == 20  # the whole document
    ]
    share = np.bincount(sizes, minlength=20) / len(sizes)
    assert np.flatnonzero(share).tolist() == [4, 8, 12, 16]
    assert share[[4, 8, 12, 16]] == pytest.approx(np.full(4, 0.25), abs=0.09)


def test_short_rows_are_as_many_as_asked_for():
    documents = numbered_documents([[1] * 4000] * 4)

    def next_sizes(short_rate):
        pairs = unpacked(
            NextSentencePairs(43, START, SEPARATOR, short_rate)(documents, generator())
        )
        return np.array([len(a) + len(b) for a, b, label in pairs if label == 0])

    assert np.mean(next_sizes(0) == 40) > 0.97  # but at the ends of documents
    some = next_sizes(0.3)
    assert np.mean(some < 40) == pytest.approx(0.3 * 38 / 39, abs=0.09)
    every = next_sizes(1)
    assert set(every.tolist()) == set(range(2, 41))
    assert every.mean() == pytest.approx(21, abs=1.5)


def test_the_longer_text_is_cut_at_either_side():
    documents = numbered_documents([[30, 4]] * 400)
    fronts = []
    objective = NextSentencePairs(23, START, SEPARATOR, short_rate=0)
    for first, second, label in unpacked(objective(documents, generator())):
        if label == 0:
            assert len(first) == 16
            assert len(second) == 4
            fronts.append((first[0] - FIRST_ID) % DOCUMENT_IDS)
    fronts = np.array(fronts)  # of 14 tokens, each from the front with probability 1/2
    assert fronts.mean() == pytest.approx(7, abs=0.7)
    assert fronts.var() == pytest.approx(3.5, abs=1.2)


def test_two_long_texts_share_the_row():
    documents = numbered_documents([[50, 60]] * 20)
    for first, second, _ in unpacked(
        NextSentencePairs(24, START, SEPARATOR)(documents, generator())
    ):
        assert (len(first), len(second)) == (11, 10)


def test_pairs_are_seeded():
    documents = random_documents(count=4)
    objective = NextSentencePairs(32, START, SEPARATOR)
    first, again = (objective(documents, np.random.default_rng(3)) for _ in range(2))
    for expected, got in zip(first, again, strict=True):
        np.testing.assert_array_equal(got, expected)
    other = objective(documents, np.random.default_rng(4))
    assert first[0].tolist() != other[0].tolist()


def test_what_has_no_tokens_is_left_out():
    documents = random_documents(count=4, sentences=20)
    gappy = [[], *([[], *document, []] for document in documents), [[]]]
    objective = NextSentencePairs(32, START, SEPARATOR)
    for expected, got in zip(
        objective(documents, generator()), objective(gappy, generator()), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("documents", "got"),
    [
        ([], "0 documents, 0 of them"),
        ([[[5, 6], [7]]], "1 documents, 1 of them"),
        ([[[5]], [[]]], "2 documents, 1 of them"),
        ([[], [[]]], "2 documents, 0 of them"),
    ],
    ids=["none", "one", "one-and-an-empty-one", "no-tokens"],
)
def test_pairs_need_two_documents(documents, got):
    with pytest.raises(ValueError, match=f"at least two documents must have a token.*got {got}"):
        NextSentencePairs(32, START, SEPARATOR)(documents, generator())


def test_pairs_refuse_bad_arguments():
    with pytest.raises(ValueError, match=r"length must be an integer from 5 .*got 4\."):
        NextSentencePairs(4, START, SEPARATOR)
    for rate in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=rf"short_rate.*from 0 to 1; got {rate}\."):
            NextSentencePairs(32, START, SEPARATOR, rate)
