"""Embedding tables that learn the same on every backend."""

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.adapters import KeepsAdapters


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
