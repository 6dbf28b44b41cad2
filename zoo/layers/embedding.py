"""Embedding tables that learn the same on every backend."""

import keras
from keras import ops


def take_rows(table, ids):
    """The rows of `table` that `ids` name, with a gradient of the table's own shape.

    TensorFlow's own gradient is a list of rows in which an id stands as often as it was read.
    Keras' optimizers square such a list before they add up its rows, so Adam would take another
    step there than on the other backends.

    Args:
        table: `(rows, hidden_dim)`.
        ids: int, of any shape.

    Returns:
        `(*ids.shape, hidden_dim)`, in the table's dtype.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(table, ids, axis=0)

    @ops.custom_gradient
    def gather(table):
        def gradient(upstream):
            return ops.segment_sum(
                ops.reshape(upstream, (-1, table.shape[-1])),
                ops.reshape(ids, (-1,)),
                num_segments=table.shape[0],
            )

        return ops.take(table, ids, axis=0), gradient

    return gather(ops.copy(table))


@keras.saving.register_keras_serializable("zoo")
class TokenEmbedding(keras.layers.ReversibleEmbedding):
    """Keras' `ReversibleEmbedding`, reading its table with `take_rows`."""

    def call(self, inputs, reverse=False):
        if reverse:
            return super().call(inputs, reverse=True)
        return ops.cast(take_rows(self.embeddings, inputs), self.compute_dtype)
