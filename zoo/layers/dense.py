"""Keras' Dense, multiplied by oneDNN on PyTorch's CPU."""

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.adapters import KeepsAdapters


@keras.saving.register_keras_serializable("zoo")
class Dense(KeepsAdapters, keras.layers.Dense):
    """`keras.layers.Dense` on rows of features, `(rows, input_dim)`.

    The layers of this library put all positions below each other for it: XLA, too, multiplies
    matrices faster than stacks of them.
    """

    def call(self, inputs, training=None):
        x = backend.product(inputs, ops.convert_to_tensor(self.kernel))
        if self.bias is not None:
            x = x + ops.convert_to_tensor(self.bias)
        return x if self.activation is None else self.activation(x)

    def quantize(self, mode=None, type_check=True, config=None):
        """As `keras.layers.Dense.quantize`, which refuses subclasses unless told otherwise."""
        super().quantize(mode, type_check=False, config=config)


def as_rows(x):
    """`(batch, length, dim)` to `(batch * length, dim)`."""
    return ops.reshape(x, (-1, x.shape[-1]))
