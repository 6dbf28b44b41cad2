"""Tags that mark spans: every scheme comes out as IOB2, with the same spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.formats import SCHEMES, read_conll, to_iob2

pytestmark = pytest.mark.backend_free

IOB2 = ["B-a", "I-a", "B-a", "O", "B-b", "I-b", "I-b", "O", "B-a"]
SAME = {
    "iob1": "I-a I-a B-a O I-b I-b I-b O I-a",
    "iob2": "B-a I-a B-a O B-b I-b I-b O B-a",
    "bio": "B-a I-a B-a O B-b I-b I-b O B-a",
    "iobes": "B-a E-a S-a O B-b I-b E-b O S-a",
    "bioes": "B-a E-a S-a O B-b I-b E-b O S-a",
    "bilou": "B-a L-a U-a O B-b I-b L-b O U-a",
    "bmes": "B-a E-a S-a O B-b M-b E-b O S-a",
}
words = st.lists(st.tuples(st.sampled_from("Oab"), st.booleans()), min_size=1, max_size=12)


def spans_of(words):
    """`[(label, first, end)]` of words that each have a label, and whether a span starts there."""
    spans, running = [], "O"
    for i, (label, starts) in enumerate(words):
        if label != "O" and (starts or label != running):
            spans.append([label, i, i + 1])
        elif label != "O":
            spans[-1][2] = i + 1
        running = label
    return spans


def written(spans, length, scheme):
    tags = ["O"] * length
    for label, first, end in spans:
        for i in range(first, end):
            is_first, is_last = i == first, i == end - 1
            after_its_like = any(s[0] == label and s[2] == first for s in spans)
            letter = "B" if is_first else "I"
            if scheme == "iob1":
                letter = "B" if is_first and after_its_like else "I"
            if scheme in ("iobes", "bioes", "bmes"):
                inside = "M" if scheme == "bmes" else "I"
                letter = "S" if is_first and is_last else "B" if is_first else inside
                letter = "E" if is_last and not is_first else letter
            if scheme == "bilou":
                letter = "U" if is_first and is_last else "B" if is_first else "I"
                letter = "L" if is_last and not is_first else letter
            tags[i] = f"{letter}-{label}"
    return tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_sentence_in_every_scheme(scheme):
    assert to_iob2([SAME[scheme].split()], scheme) == [IOB2]
    assert to_iob2([SAME[scheme].split()]) == [IOB2]


@given(words, st.sampled_from(list(SCHEMES)))
def test_any_spans_in_any_scheme(words, scheme):
    spans = spans_of(words)
    expected = written(spans, len(words), "iob2")
    tags = written(spans, len(words), scheme)
    assert to_iob2([tags], scheme) == [expected]
    assert to_iob2([tags]) == [expected]  # recognised
    assert to_iob2([expected]) == [expected]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-a I-b O I-b", "B-a B-b O B-b"),
        ("S-a E-a I-a", "B-a B-a B-a"),  # after a span that has ended another starts
        ("B-a I-b E-b", "B-a B-b I-b"),
        ("I-with-dash I-with-dash", "B-with-dash I-with-dash"),
    ],
)
def test_what_has_nothing_to_go_on_with_starts(tags, expected):
    assert to_iob2([tags.split()]) == [expected.split()]


@pytest.mark.parametrize("tags", ["NN VBZ", "O O", "B-a X", "B-a M-a L-a", "-a", "B- I-", "S E"])
def test_tags_of_no_scheme_stay(tags):
    assert to_iob2([tags.split()]) == [tags.split()]


def test_errors_name_the_scheme_and_the_tag():
    with pytest.raises(ValueError, match=r"one of iob1, .*; got 'BIOE'\. Did you mean 'bio"):
        to_iob2([], "BIOE")
    message = "x.conll: tags of iob1 must be 'O' or 'I-label' or 'B-label'; got 'NN' in sentence 1."
    with pytest.raises(ValueError, match="tags of iob1") as caught:
        to_iob2([["O"], ["I-a", "NN"]], "iob1", "x.conll")
    assert str(caught.value) == message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("scheme", ["iob1", "bilou"])
def test_conll_files_of_any_scheme_and_line_end(tmp_path, end, scheme):
    path = tmp_path / "x.conll"
    lines = [f"w{i} {tag}" for i, tag in enumerate(SAME[scheme].split())]
    path.write_bytes(b"\xef\xbb\xbf" + end.join([*lines, "", "w9 O", ""]).encode())
    for name in (scheme, None):
        sentences, tags = read_conll(path, scheme=name)
        assert tags == [IOB2, ["O"]]
        assert [len(words) for words in sentences] == [9, 1]
    with pytest.raises(ValueError, match=r"x\.conll: tags of bmes must be"):
        read_conll(path, scheme="bmes")
