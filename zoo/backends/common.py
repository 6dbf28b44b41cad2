"""What JAX and TensorFlow do alike, in Keras' operations."""

import contextlib
import threading

import keras
from keras import ops, tree

_tracing = threading.local()


def while_loop(body):
    """`loop(state, num_steps, *arguments)`, as one operation of the backend.

    `state = body(state, *arguments)`, `num_steps` times or until `state["over"]`.
    """

    def loop(state, num_steps, *arguments, **static):
        _, state = ops.while_loop(
            lambda step, state: (step < num_steps) & ~state["over"],
            lambda step, state: (step + 1, body(state, *arguments, **static)),
            (ops.zeros((), "int32"), state),
        )
        return state

    return loop


def random_state():
    """What random numbers are drawn from beside Keras' seed generators: here, nothing."""
    return {}


def set_random_state(state):
    """Go on from a state of this backend: there is none, whatever another's may be."""


def product(x, weight):
    """`x @ weight` for `x` `(rows, n)` and `weight` `(n, m)`."""
    return ops.matmul(x, weight)


def int8_product(x, weight, scale):
    """`x @ (scale * weight).T`, the rows of `x` rounded to whole numbers up to 127.

    The products of whole numbers are added up in float32, which holds such sums exactly up to 1,040
    of them, and almost beyond.

    Args:
        x: float32 `(rows, inputs)`.
        weight: int8 `(outputs, inputs)`.
        scale: float32 `(outputs,)`.
    """
    step = row_steps(x)
    whole = ops.round(x / step)
    return ops.matmul(whole, ops.transpose(ops.cast(weight, "float32"))) * step * scale


def row_steps(x):
    """float32 `(rows, 1)`: what the rows of `x` are divided by to be whole numbers up to 127."""
    largest = ops.max(ops.abs(x), axis=-1, keepdims=True)
    return ops.maximum(largest, 1e-30) / 127


def cache_dtype(dtype):
    """The dtype in which keys and values of this dtype are kept."""
    return keras.backend.standardize_dtype(dtype)


def product_in_float32(x, y):
    """`x @ y`, added up in float32 whatever their dtype."""
    return ops.matmul(ops.cast(x, "float32"), ops.cast(y, "float32"))


def attention(query, key, value, bias=None, mask=None, is_causal=False, scale=None):
    """`softmax(scale * query @ key.T + bias) @ value`, by the backend's kernel.

    Args:
        query: `(batch, length, heads, head_dim)`.
        key, value: `(batch, key_length, kv_heads, head_dim)`; `kv_heads` divides `heads`.
        bias, mask: added to the scores, and True for what is seen; each broadcasts to
            `(batch, heads, length, key_length)`.
        is_causal: bool, whether position i sees no key beyond i.
        scale: float; None for `1 / sqrt(head_dim)`.
    """
    if bias is not None and mask is not None:  # the kernels take only one of the two
        bias, mask = hide(bias, mask), None
    return ops.dot_product_attention(
        query, key, value, bias=bias, mask=mask, is_causal=is_causal, scale=scale
    )


def hide(scores, mask):
    """Scores that no softmax sees where a mask is False, with a value that float16 can hold."""
    return ops.where(mask, scores, ops.cast(lowest(scores.dtype), scores.dtype))


def lowest(dtype):
    return -3e4 if keras.backend.standardize_dtype(dtype) == "float16" else -1e30


def recompute(function, *tensors):
    """`function(*tensors)`, of which only the tensors are kept for the backward pass.

    For what is cheap beside the matrix products but large: an activation's or an attention's
    inner steps. Chen et al., 2016, https://arxiv.org/abs/1604.06174.

    Args:
        function: of tensors, without random numbers.
    """
    return function(*tensors) if is_without_gradients() else keras.remat(function)(*tensors)


@contextlib.contextmanager
def without_gradients():
    """What is traced within, in this thread, is for graphs that nobody trains: plain operations."""
    _tracing.without_gradients = True
    try:
        yield
    finally:
        _tracing.without_gradients = False


def no_gradients():
    """A context in which nothing need be kept for a backward pass.

    What comes out of it still goes through `ops.stop_gradient`, which is what counts here.
    """
    return without_gradients()


def is_without_gradients():
    return getattr(_tracing, "without_gradients", False)


def write_rows(cache, update, position):
    """Put `update` `(batch, heads, length, dim)` into a cache at `position` `(batch, length)`."""
    batch, heads, length = ops.shape(update)[:3]
    rows, columns = ops.arange(batch, dtype="int32"), ops.arange(heads, dtype="int32")
    shape = batch, heads, length
    rows = ops.broadcast_to(rows[:, None, None], shape)
    columns = ops.broadcast_to(columns[None, :, None], shape)
    places = ops.broadcast_to(position[:, None, :], shape)
    indices = ops.reshape(ops.stack([rows, columns, places], axis=-1), (-1, 3))
    return ops.scatter_update(cache, indices, ops.reshape(update, (-1, update.shape[-1])))


def reorder_rows(cache, rows):
    """The rows of all tensors of a cache, in another order."""
    return tree.map_structure(lambda x: ops.take(x, rows, axis=0), cache)


def sum_by_column(values, columns, width):
    """float32 `(rows, width)`: the sums of `values` that belong to each column.

    Args:
        values: float32 `(rows, n)`.
        columns: int32 `(rows, n)`, from 0 to `width - 1`.
        width: int.
    """
    rows = ops.shape(values)[0]
    places = columns + width * ops.arange(rows, dtype="int32")[:, None]
    sums = ops.segment_sum(
        ops.reshape(values, (-1,)), ops.reshape(places, (-1,)), num_segments=rows * width
    )
    return ops.reshape(sums, (rows, width))


def in_order(x):
    """`x`, laid out in memory as its shape says."""
    return x


def from_numpy(array):
    """The array as a tensor."""
    return ops.convert_to_tensor(array)
