"""What PyTorch does best in its own way."""

import ml_dtypes
import torch
from keras import ops, tree


def writes_attention_out(query, key_length):
    """Whether the kernel takes 2 to 12 times the formula's time: half precision on the CPU.

    Beyond 512 keys the formula's memory would weigh more than its time.
    """
    return query.device.type == "cpu" and query.element_size() == 2 and key_length <= 512


def recompute(function, *tensors):
    """`function(*tensors)`: PyTorch's kernels keep no inner steps for the backward pass."""
    return function(*tensors)


def take_rows(table, ids):
    """The rows of `table` that `ids` name."""
    return ops.take(table, ids, axis=0)


def write_rows(cache, update, position):
    """Put `update` `(batch, heads, length, dim)` into a cache at `position` `(batch, length)`.

    In place: `ops.scatter_update` copies.
    """
    rows = ops.arange(update.shape[0])[:, None]
    cache[rows, :, position] = ops.transpose(update, (0, 2, 1, 3))
    return cache


def reorder_rows(cache, rows):
    """The rows of all tensors of a cache, in another order.

    Into the same memory: half of the time went into asking for new one. Repeated rows may share
    theirs.
    """
    return tree.map_structure(lambda x: x.copy_(x[rows]) if x.is_contiguous() else x[rows], cache)


def in_order(x):
    """`x`, laid out in memory as its shape says: copied once, and not at every step."""
    return x.contiguous()


def empty(shape, dtype):
    """A tensor of any values, whose memory is not touched."""
    return ops.convert_to_tensor(torch.empty(shape, dtype=getattr(torch, dtype)))


def from_numpy(array):
    """The array as a tensor, without a copy where that can be."""
    if array.dtype == ml_dtypes.bfloat16:
        return ops.convert_to_tensor(array)
    return torch.from_numpy(array)
