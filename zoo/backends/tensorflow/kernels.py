"""What TensorFlow does best in its own way."""

import tensorflow as tf
from keras import ops

from zoo.backends import common


def writes_attention_out(query, key_length):
    """Whether the formula is faster than the kernel."""
    return False


def attention(query, key, value, bias=None, mask=None, is_causal=False, scale=None):
    """What `zoo.backends.common.attention` does. There is no kernel here that groups heads."""
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = ops.repeat(key, groups, axis=2), ops.repeat(value, groups, axis=2)
    return common.attention(query, key, value, bias, mask, is_causal, scale)


def take_rows(table, ids):
    """The rows of `table` that `ids` name, with a gradient of the table's own shape.

    TensorFlow's own gradient is a list of rows in which an id stands as often as it was read.
    Keras' optimizers square such a list before they add up its rows, so Adam would take another
    step there than on the other backends.
    """

    @ops.custom_gradient
    def gather(table):
        def gradient(upstream):
            return ops.segment_sum(
                ops.reshape(upstream, (-1, table.shape[-1])),
                ops.reshape(ids, (-1,)),
                num_segments=table.shape[0],
            )

        return ops.take(table, ids, axis=0), gradient

    if common.is_without_gradients():
        return ops.take(table, ids, axis=0)
    return gather(ops.copy(table))


def empty(shape, dtype):
    """A tensor of any values."""
    return tf.raw_ops.Empty(shape=shape, dtype=dtype)


lstm = None  # XLA on TensorFlow has no kernel to call: `rnn` reads step by step


def device_names():
    """Names of the accelerators that tensors are on; none for a CPU."""
    devices = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, devices)
    return [one.get("device_name", "GPU") for one in details]
