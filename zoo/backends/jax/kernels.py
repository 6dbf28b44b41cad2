"""What XLA does best in its own way."""

import jax
from keras import ops


def writes_attention_out(query, key_length):
    """Whether the formula is no slower than the kernel, and its gradient faster: on the CPU."""
    return jax.default_backend() == "cpu"


def take_rows(table, ids):
    """The rows of `table` that `ids` name."""
    return ops.take(table, ids, axis=0)


def empty(shape, dtype):
    """A tensor of any values."""
    return ops.zeros(shape, dtype)
