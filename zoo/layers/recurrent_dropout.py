"""The dropouts that recurrence asks for."""

from typing import Any

import keras
from keras import ops

from zoo.layers.base import Layer
from zoo.layers.embedding import take_rows
from zoo.ranges import RATE, SEED, SIZE


@keras.saving.register_keras_serializable("zoo")
class LockedDropout(keras.layers.SpatialDropout1D):
    """Dropout that drops the same features at all positions of a row, each row its own.

    Gal and Ghahramani, 2016, https://arxiv.org/abs/1512.05287: noise that changes at every
    position would add up in a recurrent state.

    Args:
        rate: float.

    Call arguments:
        inputs: `(batch, length, dim)`; the result has the same shape.
    """


@keras.saving.register_keras_serializable("zoo")
class WordDropout(Layer):
    """Dropout of whole words: a word is dropped wherever it stands in a batch, or nowhere.

    Gal and Ghahramani, 2016, section 4.2, https://arxiv.org/abs/1512.05287.

    Args:
        rate: float.
        vocab_size: int.
        seed: int or None.

    Call arguments:
        x: `(batch, length, dim)`, the embeddings of `token_ids`.
        token_ids: int `(batch, length)`.

    Returns:
        The shape of `x`.
    """

    rank = 3
    arguments = Layer.arguments | {
        "rate": RATE,
        "vocab_size": SIZE,
        "seed": SEED,
    }

    def __init__(self, rate: float, vocab_size: int, seed: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.vocab_size = vocab_size
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any, token_ids: Any, training: bool = False) -> Any:
        if not (training and self.rate):
            return x
        words = ops.ones((self.vocab_size, 1), self.compute_dtype)
        words = keras.random.dropout(words, self.rate, seed=self.seed_generator)
        return x * take_rows(words, token_ids)

    def compute_output_spec(self, x, token_ids, training=False):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)
