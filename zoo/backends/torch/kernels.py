"""What PyTorch does best in its own way."""

import ml_dtypes
import torch
from keras import ops, tree
from keras.src.backend.torch.core import get_device, to_torch_dtype

from zoo.backends.common import lowest


def writes_attention_out(query, key_length):
    """Whether the kernel takes 2 to 12 times the formula's time: half precision on the CPU.

    Beyond 512 keys the formula's memory would weigh more than its time.
    """
    return query.device.type == "cpu" and query.element_size() == 2 and key_length <= 512


def attention(query, key, value, bias=None, mask=None, is_causal=False, scale=None):
    """What `zoo.backends.common.attention` does, by PyTorch's kernel, which groups heads itself.

    Keras repeats the keys of a group, and sends a number to the GPU for every mask.
    """
    if bias is not None:
        bias = bias.to(query.dtype)
        mask = bias if mask is None else hide(bias, mask)
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    attended = torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=bool(query.shape[1] != key.shape[1]),  # while traced, sizes are tensors
    )
    return attended.transpose(1, 2)


def hide(scores, mask):
    """Scores that no softmax sees where a mask is False, with a value that float16 can hold."""
    return torch.where(mask, scores, lowest(scores.dtype))


def recompute(function, *tensors):
    """`function(*tensors)`: PyTorch's kernels keep no inner steps for the backward pass."""
    return function(*tensors)


def no_gradients():
    """A context in which nothing is kept for a backward pass."""
    return torch.no_grad()


def take_rows(table, ids):
    """The rows of `table` that `ids` name."""
    return torch.nn.functional.embedding(ids, table)


def write_rows(cache, update, position):
    """Put `update` `(batch, heads, length, dim)` into a cache at `position` `(batch, length)`.

    In place: `ops.scatter_update` copies.
    """
    places = position.long()[:, None, :, None].expand(update.shape)
    return cache.scatter_(2, places, update)


def reorder_rows(cache, rows):
    """The rows of all tensors of a cache, in another order.

    Into the same memory: half of the time went into asking for new one. Repeated rows may share
    theirs.
    """
    return tree.map_structure(lambda x: x.copy_(x[rows]) if x.is_contiguous() else x[rows], cache)


def sum_by_column(values, columns, width):
    """What `zoo.backends.common.sum_by_column` does; Keras would ask the GPU for a size."""
    sums = torch.zeros((values.shape[0], width), dtype=values.dtype, device=values.device)
    return sums.scatter_add(1, columns.long(), values)


def in_order(x):
    """`x`, laid out in memory as its shape says: copied once, and not at every step."""
    return x.contiguous()


def empty(shape, dtype):
    """A tensor of any values, whose memory is not touched."""
    return torch.empty(shape, dtype=to_torch_dtype(dtype), device=get_device())


def from_numpy(array):
    """The array as a tensor, without a copy where that can be."""
    if array.dtype == ml_dtypes.bfloat16:
        return ops.convert_to_tensor(array)
    return torch.from_numpy(array)


def device_names():
    """Names of the accelerators that tensors are on; none for a CPU."""
    return [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
