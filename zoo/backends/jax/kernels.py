"""What XLA does best in its own way."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from keras import ops

from zoo.backends import common
from zoo.backends import head_gradients as in_chunks

ALIGNED = 64  # bytes


def writes_attention_out(query, key_length):
    """Whether the formula is no slower than the kernel, and its gradient faster: on the CPU."""
    return jax.default_backend() == "cpu"


def product_in_float32(x, y):
    """`x @ y`, added up in float32 by the units that multiply half precision."""
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)


head_gradients = functools.partial(in_chunks.head_gradients, product=product_in_float32)


def int8_product(x, weight, scale):
    """What `zoo.backends.common.int8_product` does.

    In a loop, XLA would widen the weights once for all steps, and read four times as much in each.
    """
    return common.int8_product(x, jax.lax.optimization_barrier(weight), scale)


def take_rows(table, ids):
    """The rows of `table` that `ids` name."""
    return ops.take(table, ids, axis=0)


def empty(shape, dtype):
    """A tensor of any values, whose memory is not touched on a CPU."""
    if jax.default_backend() != "cpu":
        return ops.zeros(shape, dtype)
    # JAX takes memory that begins at a multiple of 64 bytes as it is; zeros are pages of nothing.
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros((num_bytes + ALIGNED,), "uint8")
    start = -raw.ctypes.data % ALIGNED
    array = raw[start : start + num_bytes].view(dtype).reshape(shape)
    return jax.device_put(array, may_alias=True)


def from_numpy(array):
    """The array as a tensor, copied before the next one is read: else several would be kept."""
    return jax.block_until_ready(ops.convert_to_tensor(array))


def device_names():
    """Names of the accelerators that arrays are on; none for a CPU."""
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
