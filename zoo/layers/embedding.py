"""Embedding tables that learn the same on every backend."""

from types import MappingProxyType

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers import quantized
from zoo.layers.adapters import KeepsAdapters
from zoo.layers.quantized import Quantized


def take_rows(table, ids):
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

    @property
    def embeddings(self):
        """The table, `(input_dim, output_dim)`."""
        return super().embeddings if self.quantization_mode is None else self.floats("embeddings")

    def call(self, inputs, reverse=False, training=None):
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
