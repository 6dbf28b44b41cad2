"""Where an answer starts and ends: the best pairs of places by a model's logits."""

import numpy as np


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
