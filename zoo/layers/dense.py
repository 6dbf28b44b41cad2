"""Keras' Dense, multiplied by oneDNN on PyTorch's CPU."""

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.adapters import KeepsAdapters
from zoo.layers.quantized import Quantized, product
from zoo.layers.watching import show


@keras.saving.register_keras_serializable("zoo")
class Dense(Quantized, KeepsAdapters, keras.layers.Dense):
    """`keras.layers.Dense` on rows of features, `(rows, input_dim)`.

    The layers of this library put all positions below each other for it: XLA, too, multiplies
    matrices faster than stacks of them. Its kernel can be quantised, and adapters trained over it.
    """

    @property
    def kernel(self):
        """The kernel, adapters and all, `(input_dim, units)`."""
        if self.quantization_mode is None:
            return super().kernel
        kernel = self.floats("kernel")
        if self.lora_enabled:
            kernel = kernel + ops.cast(self._adapter(), kernel.dtype)
        return kernel

    def _adapter(self):
        scale = self.lora_alpha / self.lora_rank
        return scale * ops.matmul(self.lora_kernel_a, self.lora_kernel_b)

    def call(self, inputs, training=None):
        show(self, inputs=inputs)
        if self.quantization_mode is None or training:  # whole numbers have no gradients
            x = backend.product(inputs, ops.convert_to_tensor(self.kernel))
        else:
            x = ops.cast(product(inputs, **self.stored("kernel")), self.compute_dtype)
            if self.lora_enabled:
                x = x + backend.product(inputs, ops.cast(self._adapter(), x.dtype))
        if self.bias is not None:
            x = ops.add(x, self.bias)  # on TensorFlow a BiasAdd, which `+` is not
        return x if self.activation is None else self.activation(x)


def as_rows(x):
    """`(batch, length, dim)` to `(batch * length, dim)`."""
    return ops.reshape(x, (-1, x.shape[-1]))
