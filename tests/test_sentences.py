"""Where sentences end; in the cases, a bar shows it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.objectives import split_sentences

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    "marked",
    [
        "It rained. | It rained again! | Did it? | It did\u2026 | Yes",
        "Oh!! | Really?! | Well... | No.",
        "\u201cIt rained.\u201d | (It did.) | 'Why?' | [He knew.] | \"So?\" | End.",
        "Mr. and Mrs. Smith met Dr. Jones in St. Ives. | They talked, etc. and left.",
        "Fruit, e.g. apples, i.e. food vs. drink. | See No. 5 and p. 12. | No. | I will not.",
        "J. R. R. Tolkien and J.K. Rowling live in the U.S. (so \u00c9. Zola et al.) too.",
        "mr. smith saw (figures, etc.) and ran. | DON'T. | STOP.",
        "It costs 3.50 at www.example.com today. | Fine.",
        "雨。 | 雨です\uff01 | 「はい\u3002」 | 本当\uff1f | ええ",
        "A title | It rained\nall day. | The end",
    ],
    ids=[
        "marks", "several-marks", "closers", "titles", "abbreviations", "initials", "case",
        "inside-words", "japanese", "lines",
    ],
)  # fmt: skip
def test_where_sentences_end(marked):
    sentences = marked.split(" | ")
    between = "" if "雨" in marked else " "
    text = between.join(sentences)
    if "\n" in text:  # a heading, marked off by a blank line
        text = text.replace("A title ", "A title\n \n").replace("day. ", "day.\r\n\r\n\r\n")
    assert split_sentences(text) == sentences
    assert split_sentences(f"\n {text}\n\n") == sentences


def test_a_blank_line_ends_whatever_it_follows():
    assert split_sentences("Seen by Dr.\n\nMr.\n\t\nB.\r\n\r\nend") == [
        "Seen by Dr.",
        "Mr.",
        "B.",
        "end",
    ]


def test_white_space_within_a_sentence_is_kept():
    assert split_sentences("  One  two\n\tthree.   Four\u00a0five ") == [
        "One  two\n\tthree.",
        "Four\u00a0five",
    ]
    assert split_sentences("") == split_sentences(" \n\n ") == []


def without_space(text):
    return re.sub(r"\s", "", text)


pieces = st.sampled_from(
    [
        *".!?\u2026\u3002\uff01\uff1f\"')\u201d\u300d( \n\r\tab1",
        "\n\n",
        "Mr.",
        "e.g.",
        "No.",
        "J.",
        "etc.",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=60))
def test_sentences_cover_the_text(text):
    sentences = split_sentences(text)
    assert without_space("".join(sentences)) == without_space(text)
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)
    start = 0
    for sentence in sentences:  # each is a stretch of the text, white space and all
        start = text.index(sentence, start) + len(sentence)
        assert split_sentences(sentence) == [sentence]


@pytest.mark.parametrize("piece", [".", "Mr. ", "A.", "\n ", "(", "!)"], ids=repr)
def test_splitting_takes_time_in_proportion(piece):
    text = piece * (200_000 // len(piece)) + "x"
    assert without_space("".join(split_sentences(text))) == without_space(text)
