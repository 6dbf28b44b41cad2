"""Pure functions that make boolean attention masks. True means "may be attended to"."""

from typing import Any

from keras import ops


def causal_mask(
    query_length: int, key_length: int, start: Any = 0, window: int | None = None
) -> Any:
    """Let each query see its own position and everything before it.

    Args:
        query_length, key_length: ints.
        start: position of the first query among the keys: an int, or a `(batch,)` int tensor
            when every row of the batch stands at a position of its own.
        window: int, how many positions a query sees, its own among them; None for all.

    Returns:
        Boolean `(1 or batch, 1, query_length, key_length)`.
    """
    query_position = positions(start, query_length)[:, None, :, None]
    key_position = ops.arange(key_length, dtype="int32")
    mask = query_position >= key_position
    if window is not None:
        mask = ops.logical_and(mask, query_position < key_position + window)
    return mask


def padding_mask_to_attention(padding_mask: Any) -> Any:
    """`(batch, key_length)`, True or nonzero for real tokens, to `(batch, 1, 1, key_length)`."""
    return ops.cast(padding_mask, "bool")[:, None, None, :]


def combine_masks(*masks) -> Any:
    """The logical "and" of the masks that are not None; None when there are none."""
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else ops.logical_and(combined, mask)
    return combined


def open_empty_rows(mask: Any) -> Any:
    """Let a query that may see nothing see everything.

    A softmax over nothing is 0/0: backends answer it with NaN, zeros or a mean. Such a query is
    padding and its output is ignored, so any finite answer will do, as long as it is the same.
    """
    sees_something = ops.any(mask, axis=-1, keepdims=True)
    return ops.logical_or(mask, ops.logical_not(sees_something))


def positions(start, length):
    """Positions `start, start + 1, ...` as int32 `(1 or batch, length)`."""
    if isinstance(start, int):  # on PyTorch, a number of its own would be sent to the GPU
        return ops.arange(start, start + length, dtype="int32")[None]
    start = ops.reshape(ops.cast(start, "int32"), (-1, 1))
    return start + ops.arange(length, dtype="int32")
