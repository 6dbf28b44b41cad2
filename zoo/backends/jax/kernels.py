"""What XLA does best in its own way."""

import functools

import jax
import jax.numpy as jnp
from keras import ops

from zoo.backends import common
from zoo.backends import head_gradients as in_chunks


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
    """A tensor of any values."""
    return ops.zeros(shape, dtype)


def device_names():
    """Names of the accelerators that arrays are on; none for a CPU."""
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
