"""Named entities and other labelled runs of words: what a sentence's tags mark."""

import re

SPAN_TAG = re.compile(r"[BI]-.+", re.DOTALL)


def is_bio(labels):
    """Whether a list of labels marks spans: each is `O`, `B-x` or `I-x`, and not all are `O`."""
    span_tags = set(labels) - {"O"}
    return bool(span_tags) and all(map(SPAN_TAG.fullmatch, span_tags))


def entities(tags):
    """Named entities, or other labelled spans, that one sentence's tags mark.

    The scheme is BIO (IOB2): `B-x` starts a span, `I-x` continues one, `O` is outside. It is read
    as leniently as CoNLL's evaluation reads it: an `I-x` that has no span with the label `x` to
    continue starts one.

    Args:
        tags: sequence of str, one a word.

    Returns:
        A list of `(label, first_word, last_word + 1)`, in the order of the words.

    Raises:
        ValueError: for a tag that is none of the three.
    """
    spans, label = [], ""
    for word, tag in enumerate(tags):
        if tag != "O" and not SPAN_TAG.fullmatch(tag):
            raise ValueError(
                f"Tags of spans must be 'O', 'B-label' or 'I-label'; got {tag!r} for word {word}."
            )
        if tag == f"I-{label}":
            spans[-1] = (label, spans[-1][1], word + 1)
        elif tag != "O":
            spans.append((tag[2:], word, word + 1))
        label = "" if tag == "O" else tag[2:]  # no tag has an empty label
    return spans
