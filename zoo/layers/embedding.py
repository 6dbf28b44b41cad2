"""Embedding tables that learn the same on every backend."""

from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers import quantized
from zoo.layers.adapters import KeepsAdapters
from zoo.layers.base import Layer
from zoo.layers.quantized import Quantized
from zoo.ranges import POSITIVE, Boolean


def take_rows(table: Any, ids: Any) -> Any:
    """The rows of `table` that `ids` name, with a gradient of the table's own shape.

    Args:
        table: `(rows, hidden_dim)`.
        ids: int, of any shape.

    Returns:
        `(*ids.shape, hidden_dim)`, in the table's dtype.
    """
    return backend.take_rows(table, ids)


@keras.saving.register_keras_serializable("zoo")
class TokenEmbedding(Quantized, KeepsAdapters, keras.layers.ReversibleEmbedding):
    """Keras' `ReversibleEmbedding`, reading its table with `take_rows`; it can be quantised."""

    matrices = MappingProxyType({"embeddings": "_embeddings"})
    rows_are_outputs = True

    def __init__(self, *args: Any, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=0)

    @property
    def embeddings(self):
        """The table, `(input_dim, output_dim)`."""
        return super().embeddings if self.quantization_mode is None else self.floats("embeddings")

    def call(self, inputs: Any, reverse: bool = False, training: bool | None = None) -> Any:
        if reverse:
            return self._logits(inputs, training)
        if keras.backend.is_float_dtype(inputs.dtype):  # Keras on JAX, where floatx is bfloat16
            inputs = ops.cast(inputs, "int32")
        if self.quantization_mode is not None:
            rows = quantized.take_rows(inputs, **self.stored("embeddings"))
            return ops.cast(rows, self.compute_dtype)
        return ops.cast(take_rows(self.embeddings, inputs), self.compute_dtype)

    def _logits(self, hidden, training):
        if self.quantization_mode is None:
            return super().call(hidden, reverse=True)
        if training:  # whole numbers have no gradients
            logits = ops.matmul(hidden, ops.transpose(self.embeddings))
        else:
            logits = quantized.product(hidden, **self.stored("embeddings"))
        if self.logit_soft_cap is not None:
            logits = ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap
        return ops.cast(logits, self.compute_dtype)

    def enable_lora(self, *args, **kwargs):
        if self.quantization_mode is not None:
            raise ValueError("A quantised table takes no adapters: give them to the Dense layers.")
        super().enable_lora(*args, **kwargs)

    def compute_mask(self, inputs, mask=None):
        """Where ids are not 0, if `mask_zero`; hidden states on their way to logits have none."""
        if keras.backend.is_float_dtype(inputs.dtype):
            return None
        return keras.layers.Embedding.compute_mask(self, inputs, mask)


@keras.saving.register_keras_serializable("zoo")
class TiedHead(Layer):
    """A table of embeddings `E` as the head, with more than the product: `scale * h E^T + b`.

    Press and Wolf, 2017, https://arxiv.org/abs/1608.05859. The scale is T5's, whose embeddings
    start with a variance of 1 (Raffel et al., 2020, https://arxiv.org/abs/1910.10683); the bias is
    Marian's (Junczys-Dowmunt et al., 2018, https://arxiv.org/abs/1804.00344).

    Args:
        table: a `TokenEmbedding`.
        scale: float.
        use_bias: bool.

    Call arguments:
        hidden: `(..., hidden_dim)`; the result is `(..., vocab_size)`.
    """

    arguments = Layer.arguments | {
        "scale": POSITIVE,
        "use_bias": Boolean(),
    }

    def __init__(self, table: Any, scale: float = 1.0, use_bias: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.scale = scale
        self.use_bias = use_bias

    def build(self, hidden_shape=None):
        self.bias = None
        if self.use_bias:
            shape = (self.table.input_dim,)
            self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")

    @property
    def quantization_mode(self):
        return self.table.quantization_mode

    @property
    def kernel(self):
        """What hidden states are multiplied by, `(hidden_dim, vocab_size)`."""
        return ops.transpose(self.table.embeddings) * self.scale

    def quantized_call(self, *args, **kwargs):
        return self.call(*args, **kwargs)

    def call(self, hidden: Any) -> Any:
        logits = self.table(hidden * self.scale, reverse=True)
        return logits if self.bias is None else logits + ops.cast(self.bias, logits.dtype)

    def compute_output_spec(self, hidden):
        shape = (*hidden.shape[:-1], self.table.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
