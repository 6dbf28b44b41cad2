"""Long rows of token ids in parts that fit, each token of which is predicted once."""

import numpy as np

from zoo.backends.buckets import LENGTHS, bucket, pad_rows
from zoo.generation.checks import check_whole


def windows_of(row, most, stride):
    """Parts of a row of ids, each with how many of its last tokens are predicted in it.

    Args:
        row: a list of ids; the first is read alone.
        most: int or inf, tokens that can be read at once.
        stride: int, or None for a row that must fit.

    Returns:
        A list of pairs. The numbers add up to `len(row) - 1`.
    """
    if stride is not None:
        check_whole("stride", stride)
        if stride > most:
            raise ValueError(f"stride must be at most the context of {most} tokens; got {stride}.")
    num_tokens = len(row) - 1
    if num_tokens > most and stride is None:
        raise ValueError(
            f"A text must fit into the context of {most} tokens; got one of {num_tokens}. Pass a "
            f"stride, such as {most // 2}, to read it in windows that are so many tokens apart."
        )
    end = min(num_tokens, most)
    windows = [(row[: end + 1], end)]
    while end < num_tokens:
        before, end = end, min(end + stride, num_tokens)
        windows.append((row[end - most : end + 1], end - before))
    return windows


def scored_arrays(rows, num_scored, batch_size, most):
    """Arrays of few shapes, of at most `batch_size` rows, for what predicts the last ids of each.

    Args:
        rows: lists of ids; the first of each is read alone.
        num_scored: for each row, how many of its last ids are predicted.
        batch_size: int.
        most: int or inf, tokens that can be read at once.

    Returns:
        `(token_ids, is_scored)`: int32 `(batch, length + 1)` and bool `(batch, length)`.
    """
    lengths = np.array([len(row) - 1 for row in rows])
    length = bucket(lengths.max(), LENGTHS, most)
    token_ids = np.zeros((len(rows), length + 1), "int32")
    for padded, row in zip(token_ids, rows, strict=True):
        padded[: len(row)] = row
    place, first = np.arange(length), lengths - np.array(num_scored)
    is_scored = (place >= first[:, None]) & (place < lengths[:, None])
    return [pad_rows(x, bucket(len(rows), 1, batch_size)) for x in (token_ids, is_scored)]
