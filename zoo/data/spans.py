"""Spans of tokens and words: windows over long texts, named entities, answers. NumPy alone."""

import re

import numpy as np

SPAN_TAG = re.compile(r"[BI]-.+", re.DOTALL)


def windows(num_tokens, size, stride):
    """Overlapping windows that together cover `num_tokens` tokens.

    Args:
        num_tokens: int, tokens of the whole text.
        size: int, tokens of a window.
        stride: int, how far one window starts after the one before it: `size - stride` overlap.

    Returns:
        A list of `(start, end)`, the end not included. All but the last have exactly `size`
        tokens. A text that fits, an empty one too, is the one window `(0, num_tokens)`.

    Raises:
        ValueError: unless `1 <= stride <= size`: some tokens would stand in no window.
    """
    if not 1 <= stride <= size:
        raise ValueError(
            "Windows must overlap or touch, which takes 1 <= stride <= size; "
            f"got size={size} and stride={stride}."
        )
    # Of the windows that start at a multiple of the stride, the last is the first to reach the end.
    steps = -(-max(num_tokens - size, 0) // stride)
    starts = range(0, steps * stride + 1, stride)
    return [(start, min(start + size, num_tokens)) for start in starts]


def best_window(position, windows):
    """Index of the window that shows most of what stands around a token.

    A token may stand in several windows, at the edge of one and in the middle of another. The best
    has the most tokens on the token's poorer side; the first of several such windows wins.

    Args:
        position: int, the token's position in the whole text.
        windows: sequence of `(start, end)`, as of `windows()`.

    Raises:
        ValueError: if the token stands in no window.
    """
    context = [min(position - start, end - 1 - position) for start, end in windows]
    if max(context, default=-1) < 0:
        raise ValueError(f"Token {position} must stand in one of the windows; got {windows}.")
    return context.index(max(context))


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


def best_spans(start_logits, end_logits, allowed, max_answer_length, top_k):
    """The spans of one window that score best as an answer.

    A span's score is the logit of its first token as a start plus that of its last as an end
    (Devlin et al., 2019, section 4.2, https://arxiv.org/abs/1810.04805).

    Args:
        start_logits, end_logits: `(length,)`, floats.
        allowed: `(length,)`, bool; a span starts and ends only where it is True.
        max_answer_length: int, most tokens in a span.
        top_k: int, most spans to return.

    Returns:
        A list of `(score, start, end)`, the end included, best first: a float and two ints. Equal
        scores are in the order of their starts, then of their ends. Empty if nothing is allowed.

    Raises:
        ValueError: for arrays of different shapes, or numbers below 1.
    """
    start_logits = np.asarray(start_logits, "float64")
    end_logits = np.asarray(end_logits, "float64")
    allowed = np.asarray(allowed, "bool")
    shapes = {start_logits.shape, end_logits.shape, allowed.shape}
    if len(shapes) > 1 or allowed.ndim != 1:
        raise ValueError(
            "The logits of one window and what is allowed there must have one shape (length,); got "
            f"{start_logits.shape}, {end_logits.shape} and {allowed.shape}."
        )
    if max_answer_length < 1 or top_k < 1:
        raise ValueError(
            f"max_answer_length and top_k must be at least 1; got {max_answer_length} and {top_k}."
        )
    length = len(allowed)
    starts = np.flatnonzero(allowed)
    ends = starts[:, None] + np.arange(min(max_answer_length, length))  # (starts, spans of each)
    inside = ends < length
    ends = np.where(inside, ends, 0)
    rows, columns = np.nonzero(inside & allowed[ends])
    starts, ends = starts[rows], ends[rows, columns]
    scores = start_logits[starts] + end_logits[ends]
    best = np.argsort(-scores, kind="stable")[:top_k]
    return list(zip(scores[best].tolist(), starts[best].tolist(), ends[best].tolist(), strict=True))
