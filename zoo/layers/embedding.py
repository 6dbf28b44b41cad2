"""Embedding tables that learn the same on every backend."""

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.adapters import KeepsAdapters
from zoo.layers.base import Layer


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
class TokenEmbedding(KeepsAdapters, keras.layers.ReversibleEmbedding):
    """Keras' `ReversibleEmbedding`, reading its table with `take_rows`."""

    def call(self, inputs, reverse=False):
        if reverse:
            return super().call(inputs, reverse=True)
        if keras.backend.is_float_dtype(inputs.dtype):  # Keras on JAX, where floatx is bfloat16
            inputs = ops.cast(inputs, "int32")
        return ops.cast(take_rows(self.embeddings, inputs), self.compute_dtype)

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

    def __init__(self, table, scale=1.0, use_bias=False, **kwargs):
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

    def call(self, hidden):
        logits = self.table(hidden * self.scale, reverse=True)
        return logits if self.bias is None else logits + ops.cast(self.bias, logits.dtype)

    def compute_output_spec(self, hidden):
        shape = (*hidden.shape[:-1], self.table.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
