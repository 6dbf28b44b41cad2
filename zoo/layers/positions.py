"""Where a token stands, told to a Transformer in the five usual ways.

`PositionEmbedding` and `SinusoidalPositions` make vectors that are added to the token embeddings.
`ALiBi`, `RelativePositionBias` and the `RotaryEmbedding` of `rotary.py` act inside attention: they
are given to `MultiHeadAttention(position=...)`, which asks them to `rotate` queries and keys and
for a `bias` on the scores.
"""

import math
from typing import Any

import keras
from keras import ops

from zoo.layers import masks
from zoo.layers.base import Layer
from zoo.layers.embedding import TokenEmbedding
from zoo.ranges import POSITIVE, SIZE, Boolean


@keras.saving.register_keras_serializable("zoo")
class PositionEmbedding(Layer):
    """One learned vector per position.

    Gehring et al., 2017, https://arxiv.org/abs/1705.03122; used by BERT and GPT.

    Args:
        max_length: int, the number of positions in the table.
        initializer: for the table.

    Call arguments:
        x: `(batch, length, hidden_dim)`, only its shape and dtype matter.
        start: position of `x[:, 0]`, an int or `(batch,)` int tensor.

    Returns:
        `(1 or batch, length, hidden_dim)`, to be added to `x`.

    Raises:
        ValueError: if `length` is more than `max_length`.
    """

    rank = 3
    arguments = Layer.arguments | {
        "max_length": SIZE,
    }

    def __init__(self, max_length: int, initializer: Any = "uniform", **kwargs) -> None:
        super().__init__(**kwargs)
        self.max_length = max_length
        self.initializer = keras.initializers.get(initializer)

    def build(self, x_shape):
        self.embeddings = self.add_weight(
            shape=(self.max_length, x_shape[-1]), initializer=self.initializer, name="embeddings"
        )

    def call(self, x: Any, start: Any = 0) -> Any:
        length = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        check_length(length, self.max_length)
        table = ops.cast(self.embeddings, self.compute_dtype)
        if isinstance(start, int) and start == 0:
            return table[None, :length, :]
        return ops.take(table, masks.positions(start, length), axis=0)

    def compute_output_spec(self, x, start=0):
        # Unknown lengths are traced with stand-in sizes that may exceed the table.
        batch = 1 if isinstance(start, int) else x.shape[0]
        return keras.KerasTensor((batch, *x.shape[1:]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class SinusoidalPositions(Layer):
    """Fixed sines and cosines: `sin(p / base^(2i/d))` at feature 2i, `cos` of it at 2i + 1.

    Vaswani et al., 2017, section 3.5, https://arxiv.org/abs/1706.03762

    Args:
        base: float.
        interleaved: bool; False puts the sines before all cosines, at features i and d/2 + i, as
            the paper's own code has it, Marian and Pegasus.

    Call arguments:
        x: `(batch, length, hidden_dim)`, `hidden_dim` even.
        start: position of `x[:, 0]`, an int or `(batch,)` int tensor.

    Returns:
        `(1 or batch, length, hidden_dim)`, to be added to `x`.

    Raises:
        ValueError: if `hidden_dim` is odd.
    """

    arguments = Layer.arguments | {
        "base": POSITIVE,
        "interleaved": Boolean(),
    }

    def __init__(self, base: float = 10_000, interleaved: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.interleaved = interleaved

    def build(self, x_shape):
        if len(x_shape) != 3:
            raise ValueError(
                "SinusoidalPositions are added to embeddings (batch, length, hidden_dim); got an "
                f"input of shape {tuple(x_shape)}."
            )
        require_even(self, x_shape[-1], "hidden_dim", x_shape)

    def call(self, x: Any, start: Any = 0) -> Any:
        position = ops.cast(masks.positions(start, ops.shape(x)[1]), "float32")
        angle = position[:, :, None] * frequencies(x.shape[-1], self.base)
        # (1 or batch, length, d/2, 2), or 2 before d/2
        wave = ops.stack([ops.sin(angle), ops.cos(angle)], axis=-1 if self.interleaved else -2)
        return ops.cast(ops.reshape(wave, (*ops.shape(angle)[:2], x.shape[-1])), self.compute_dtype)

    def compute_output_spec(self, x, start=0):
        batch = 1 if isinstance(start, int) else x.shape[0]
        return keras.KerasTensor((batch, *x.shape[1:]), dtype=self.compute_dtype)


class AttentionPosition(Layer):
    """A position that acts inside attention; subclasses change one of the two methods."""

    def rotate(self, x, start=0):
        """Turn queries or keys `(batch, length, heads, head_dim)` by their positions."""
        return x

    def bias(self, query_length, key_length, start=0, query=None, key=None):
        """What to add to the scores, `(1 or batch, heads, query_length, key_length)`, or None.

        Args:
            query_length, key_length: ints.
            start: position of the first query among the keys, an int or `(batch,)` int tensor.
            query: `(batch, query_length, heads, head_dim)`, already turned, for scores that depend
                on what is asked, as in Transformer-XL (Dai et al., 2019) and DeBERTa (He et al.,
                2021).
            key: `(batch, key_length, kv_heads, head_dim)`, already turned.
        """
        return None


@keras.saving.register_keras_serializable("zoo")
class ALiBi(AttentionPosition):
    """Lower each score in proportion to the distance between query and key.

    `score[h, i, j] -= slope[h] * |i - j|`, the slopes a geometric series from `2^(-8/n)`.
    Press et al., 2022, https://arxiv.org/abs/2108.12409

    Args:
        num_heads: int, the number of query heads.
    """

    arguments = Layer.arguments | {
        "num_heads": SIZE,
    }

    def __init__(self, num_heads: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def bias(self, query_length, key_length, start=0, query=None, key=None):
        distance = ops.abs(_distance(query_length, key_length, start))[:, None, :, :]
        slopes = alibi_slopes(self.num_heads)
        return -slopes[:, None, None] * ops.cast(distance, "float32")


def alibi_slopes(num_heads):
    """The paper's slopes; for a count that is not a power of two, its official extension."""
    power = 2 ** math.floor(math.log2(num_heads))
    head = ops.arange(1, num_heads + 1, dtype="float32")
    exponent = ops.where(head <= power, 8 * head, 8 * (head - power) - 4)
    return ops.exp2(exponent * (-1 / power))


@keras.saving.register_keras_serializable("zoo")
class RelativePositionBias(AttentionPosition):
    """A learned score for each head and bucket of distances, shared by all layers of a stack.

    Raffel et al., 2020 (T5), section 2.1, https://arxiv.org/abs/1910.10683. Half of the buckets
    hold one small distance each, the other half grow logarithmically up to `max_distance`.

    Args:
        num_heads: int, the number of query heads.
        num_buckets: int, even.
        max_distance: int, distances from here on share the last bucket.
        bidirectional: bool, whether keys after the query have buckets of their own (encoders).
    """

    arguments = Layer.arguments | {
        "num_heads": SIZE,
        "num_buckets": SIZE,
        "max_distance": SIZE,
        "bidirectional": Boolean(),
    }

    def __init__(
        self,
        num_heads: int,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.table = TokenEmbedding(num_buckets, num_heads, dtype=self.dtype_policy, name="table")

    def build(self, input_shape=None):
        self.table.is_quantizable = False  # a number for each head and distance: little to save
        self.table.build(None)

    def bias(self, query_length, key_length, start=0, query=None, key=None):
        if not self.built:
            self.build()
        buckets = self._bucket(-_distance(query_length, key_length, start))
        return ops.transpose(self.table(buckets), (0, 3, 1, 2))

    def _bucket(self, offset):
        """Map key position minus query position to a bucket number."""
        num_buckets = self.num_buckets // 2 if self.bidirectional else self.num_buckets
        is_after = ops.cast(offset > 0, "int32")
        distance = ops.abs(offset) if self.bidirectional else -offset * (1 - is_after)
        exact = num_buckets // 2
        ratio = ops.relu(ops.log(ops.cast(distance, "float32") / exact))
        ratio = ratio / math.log(self.max_distance / exact)
        far = exact + ops.cast(ratio * (num_buckets - exact), "int32")
        last = num_buckets - 1
        far = last - ops.relu(last - far)  # ops.minimum would send the number to the GPU
        bucket = ops.where(distance < exact, distance, far)
        return bucket + num_buckets * is_after if self.bidirectional else bucket


def frequencies(dim, base):
    """Radians from one position to the next, `(dim / 2,)`: `base^(-2i/dim)` for pair i."""
    # Made where it is used: a NumPy array would go to the GPU in every layer.
    return ops.exp(-math.log(base) / dim * ops.arange(0, dim, 2, dtype="float32"))


def _distance(query_length, key_length, start):
    """Query position minus key position, int32 `(1 or batch, query_length, key_length)`."""
    query_position = masks.positions(start, query_length)[:, :, None]
    return query_position - ops.arange(key_length, dtype="int32")


def check_length(length, max_length):
    """Raise ValueError for more tokens than a model reads at once; nothing for unknown lengths."""
    if isinstance(length, int) and length > max_length:
        raise ValueError(
            f"This model reads at most {max_length} tokens at once (max_length); got a sequence of "
            f"{length}. Shorten or split the text, or build the model with a larger max_length."
        )


def require_even(layer, dim, what, shape):
    if dim % 2:
        raise ValueError(
            f"{type(layer).__name__} works on pairs of features, so {what} must be even; got {dim} "
            f"(input shape {tuple(shape)})."
        )
