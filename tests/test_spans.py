"""Spans: windows cover every token, tags become spans, the best answers are found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from zoo.data import answers, entities
from zoo.data import windows as long_texts

pytestmark = pytest.mark.backend_free

# A label may hold a dash, and "None" is one like any other.
tag = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-A-B", "I-A-B", "I-None"])
tags = st.lists(tag, max_size=12)


@st.composite
def window_arguments(draw):
    size = draw(st.integers(1, 12))
    return draw(st.integers(0, 60)), size, draw(st.integers(1, size))


def test_a_long_text_is_cut_into_overlapping_windows():
    assert long_texts.windows(10, size=4, stride=3) == [(0, 4), (3, 7), (6, 10)]
    assert long_texts.windows(11, size=4, stride=3) == [(0, 4), (3, 7), (6, 10), (9, 11)]
    assert long_texts.windows(6, size=3, stride=3) == [(0, 3), (3, 6)]


@pytest.mark.parametrize("num_tokens", [0, 1, 7, 8])
def test_what_fits_is_one_window(num_tokens):
    assert long_texts.windows(num_tokens, size=8, stride=2) == [(0, num_tokens)]


@given(window_arguments())
def test_windows_cover_every_token_and_no_window_is_needless(arguments):
    num_tokens, size, stride = arguments
    found = long_texts.windows(num_tokens, size, stride)
    assert {i for start, end in found for i in range(start, end)} == set(range(num_tokens))
    assert all(end - start == size for start, end in found[:-1])
    assert found[-1][1] - found[-1][0] <= size
    assert [start for start, _ in found] == [i * stride for i in range(len(found))]
    assert found[-1][1] == num_tokens
    assert all(end < num_tokens for _, end in found[:-1])


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (0, 0), (4, 0), (4, -1), (4, 5), (-2, -3)])
def test_windows_that_would_skip_tokens_are_refused(size, stride):
    message = f"1 <= stride <= size; got size={size} and stride={stride}"
    with pytest.raises(ValueError, match=message):
        long_texts.windows(10, size, stride)


def test_the_best_window_shows_most_on_the_poorer_side():
    windows = [(0, 6), (3, 9), (6, 12)]
    assert [long_texts.best_window(i, windows) for i in range(12)] == [0] * 5 + [1] * 3 + [2] * 4
    assert (
        long_texts.best_window(4, [(0, 6), (3, 9)]) == 0
    )  # 1 on the right, 1 on the left: the first
    assert long_texts.best_window(4, [(3, 9), (0, 6)]) == 0


@given(window_arguments(), st.data())
def test_the_best_window_holds_its_token_and_no_other_shows_more(arguments, data):
    windows = long_texts.windows(*arguments)
    for position in range(arguments[0]):
        best = long_texts.best_window(position, windows)
        start, end = windows[best]
        assert start <= position < end
        radius = min(position - start, end - 1 - position)
        for i, (start, end) in enumerate(windows):
            wider = start < position - radius and position + radius + 1 < end
            as_wide = start <= position - radius and position + radius < end
            assert not wider
            assert not (as_wide and i < best)


@pytest.mark.parametrize("position", [-1, 4, 7])
def test_a_token_in_no_window_has_no_best_one(position):
    with pytest.raises(ValueError, match=rf"Token {position} must stand in one of the windows"):
        long_texts.best_window(position, [(0, 4), (5, 7)])


def test_a_token_needs_a_window():
    with pytest.raises(ValueError, match=r"in one of the windows; got \[\]"):
        long_texts.best_window(0, [])


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER", [("PER", 0, 1)]),
        ("O B-PER I-PER O", [("PER", 1, 3)]),
        ("B-PER B-PER I-PER", [("PER", 0, 1), ("PER", 1, 3)]),
        ("I-PER I-PER O I-PER", [("PER", 0, 2), ("PER", 3, 4)]),
        ("B-PER I-LOC I-LOC", [("PER", 0, 1), ("LOC", 1, 3)]),
        ("B-PER I-LOC I-PER", [("PER", 0, 1), ("LOC", 1, 2), ("PER", 2, 3)]),
        ("I-None I-None", [("None", 0, 2)]),
    ],
)
def test_tags_mark_entities(marked, expected):
    assert entities.entities(marked.split()) == expected


@given(tags)
def test_entities_are_those_of_seqeval(marked):
    peers = [(label, first, last + 1) for label, first, last in get_entities(list(marked))]
    assert entities.entities(marked) == peers


@given(tags)
def test_entities_cover_what_is_tagged_and_can_be_written_again(marked):
    written = ["O"] * len(marked)
    for label, start, end in entities.entities(marked):
        assert all(marked[i][2:] == label for i in range(start, end))
        written[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    assert [i for i, tag in enumerate(written) if tag == "O"] == [
        i for i, tag in enumerate(marked) if tag == "O"
    ]
    assert entities.entities(written) == entities.entities(marked)


@pytest.mark.parametrize("wrong", ["NOUN", "B-", "I", "", "E-PER", "b-PER", "o"])
def test_other_tags_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"'O', 'B-label' or 'I-label'; got '{wrong}' for word 1"):
        entities.entities(["O", wrong])
    assert not entities.is_bio(["O", "B-PER", wrong])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["O", "B-PER", "I-PER"], True),
        (["B-PER"], True),
        (["I-PER", "O"], True),
        (["O"], False),
        ([], False),
        (["NOUN", "VERB"], False),
        (["positive", "negative"], False),
    ],
)
def test_a_bio_scheme_is_recognised(labels, expected):
    assert entities.is_bio(labels) is expected


def all_spans(start_logits, end_logits, allowed, max_answer_length):
    """Every span one may answer, best first, found the long way."""
    length = len(allowed)
    found = [
        (float(start_logits[i]) + float(end_logits[k]), i, k)
        for i in range(length)
        for k in range(i, min(i + max_answer_length, length))
        if allowed[i] and allowed[k]
    ]
    return sorted(found, key=lambda span: (-span[0], span[1], span[2]))


@st.composite
def window_logits(draw):
    # Few different values, so that scores are often equal.
    values = st.sampled_from([-2.0, 0.0, 0.5, 1.0])
    length = draw(st.integers(0, 10))
    row = st.lists(values, min_size=length, max_size=length)
    return draw(row), draw(row), draw(st.lists(st.booleans(), min_size=length, max_size=length))


@given(window_logits(), st.integers(1, 12), st.integers(1, 80))
@settings(deadline=None)
def test_the_best_spans_are_the_first_of_all_spans(logits, max_answer_length, top_k):
    expected = all_spans(*logits, max_answer_length)[:top_k]
    assert answers.best_spans(*logits, max_answer_length, top_k) == expected


def test_spans_obey_the_limits():
    start, end = np.array([9.0, 1, 5, 0], "float32"), np.array([8, 0, 0, 7], "float32")
    everywhere = np.ones(4, "bool")
    best = answers.best_spans(start, end, everywhere, max_answer_length=4, top_k=2)
    assert best == [(17.0, 0, 0), (16.0, 0, 3)]
    assert [[type(value) for value in span] for span in best] == [[float, int, int]] * 2
    assert answers.best_spans(start, end, everywhere, 3, 2) == [(17.0, 0, 0), (12.0, 2, 3)]
    context = np.array([False, True, True, True])
    assert answers.best_spans(start, end, context, 4, 2) == [(12.0, 2, 3), (8.0, 1, 3)]
    assert answers.best_spans(start, end, ~everywhere, 4, 2) == []


def test_masked_logits_come_last():
    start = np.array([-np.inf, 0.0])
    found = answers.best_spans(start, np.zeros(2), np.ones(2, "bool"), 2, 9)
    assert found == [(0.0, 1, 1), (-np.inf, 0, 0), (-np.inf, 0, 1)]


def test_errors_of_best_spans():
    row = np.zeros(3)
    with pytest.raises(ValueError, match=r"one shape \(length,\); got \(3,\), \(2,\) and \(3,\)"):
        answers.best_spans(row, row[:2], row, 1, 1)
    with pytest.raises(ValueError, match=r"got \(1, 3\), \(1, 3\) and \(1, 3\)"):
        answers.best_spans(row[None], row[None], row[None], 1, 1)
    with pytest.raises(ValueError, match="must be at least 1; got 0 and 5"):
        answers.best_spans(row, row, row, 0, 5)
    with pytest.raises(ValueError, match="must be at least 1; got 5 and 0"):
        answers.best_spans(row, row, row, 5, 0)
