"""Text to sentences, by a few rules."""

import re

from zoo.checks import shown

CJK_MARKS = "\u3002\uff01\uff1f"  # ideographic full stop, full-width ! and ?
MARKS = ".!?\u2026" + CJK_MARKS
CLOSERS = (
    "\"')]}"
    "\u2019\u201d\u00bb\u203a"  # single and double quotation marks, double and single guillemets
    "\u300d\u300f\u3011\u300b\u3009\uff09\uff3d\uff5d"  # brackets of Chinese and Japanese
)

# A full stop after these ends no sentence...
ABBREVIATIONS = (
    r"Mr|Mrs|Ms|Messrs|Dr|St|Mt|Prof|Rev|Hon|Gen|Col|Capt|Lt|Sgt|Gov|Sen|Jr|Sr|"
    r"e\.\s?g|i\.\s?e|etc|vs|cf|viz|et\sal"
)
# ... and after these none if a number follows: "No. 5", but "No. I will not."
NUMBERED = r"No|Nos|p|pp|vol|ch|fig"

BREAK = re.compile(
    rf"""
    (?<!\w)(?<!\w['\u2019])  # where a word starts: the T of "DON'T." is no initial
    (?: (?i:{ABBREVIATIONS}) \.
      | (?i:{NUMBERED}) \. (?=\s*\d)
      | [A-ZÀ-ÖØ-Þ] \.  # an initial, the last one of "J.R.R." too
    ) [)\]}}]* (?=\s)
    | (?P<marks>[{re.escape(MARKS)}]+) [{re.escape(CLOSERS)}]*
    | (?P<blank>\n[^\S\n]*\n)
    """,
    re.VERBOSE,
)


def split_sentences(text: str) -> list[str]:
    """Split a text into its sentences, for `NextSentencePairs`.

    A sentence ends at `.`, `!`, `?` or an ellipsis that white space follows, at a Chinese or
    Japanese full stop, exclamation or question mark, and at a blank line. Quotes and brackets that
    close behind the mark belong to the sentence. A full stop after a common abbreviation or an
    initial ends none.

    The rules know no grammar: a quotation that ends in a mark ends a sentence ("Who?" she asked),
    and "It was I. He knew." is one.

    Args:
        text: str.

    Returns:
        list of str, none empty, white space kept within and stripped around each. All characters
        of the text but white space are in them, in order.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string; got {shown(text)}.")
    pieces, start = [], 0
    for match in BREAK.finditer(text):
        if match["blank"] or (match["marks"] and ends_sentence(text, match)):
            pieces.append(text[start : match.end()].strip())
            start = match.end()
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def ends_sentence(text, match):
    """Whether marks end a sentence: white space follows, or one of them needs none."""
    followed = text[match.end() : match.end() + 1].isspace()
    return followed or any(mark in CJK_MARKS for mark in match["marks"])
