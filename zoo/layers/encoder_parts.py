"""What encoders add to the Transformer block: segments, and ways from positions to a result."""

from typing import Any

import keras
from keras import ops

from zoo.layers.base import Layer
from zoo.layers.dense import Dense, as_rows
from zoo.layers.embedding import take_rows
from zoo.layers.feedforward import get_activation
from zoo.layers.initializers import Normal
from zoo.ranges import POSITIVE, SIZE


@keras.saving.register_keras_serializable("zoo")
class SegmentEmbedding(Layer):
    """One learned vector for each of the texts that are read together.

    Devlin et al., 2019, section 3, https://arxiv.org/abs/1810.04805

    Args:
        num_segments: int, how many texts a row may hold.

    Call arguments:
        x: `(batch, length, hidden_dim)`, only its shape and dtype matter.
        segment_ids: int `(batch, length)`, from 0; None where all are 0.

    Returns:
        `(1 or batch, 1 or length, hidden_dim)`, to be added to `x`.
    """

    rank = 3
    arguments = Layer.arguments | {
        "num_segments": SIZE,
    }

    def __init__(self, num_segments: int = 2, initializer: Any = "uniform", **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_segments = num_segments
        self.initializer = keras.initializers.get(initializer)

    def build(self, x_shape, segment_ids_shape=None):
        shape = (self.num_segments, x_shape[-1])
        self.embeddings = self.add_weight(
            shape=shape, initializer=self.initializer, name="embeddings"
        )

    def call(self, x: Any, segment_ids: Any = None) -> Any:
        table = ops.cast(self.embeddings, self.compute_dtype)
        return table[None, :1] if segment_ids is None else take_rows(table, segment_ids)

    def compute_output_spec(self, x, segment_ids=None):
        shape = (1, 1, x.shape[-1]) if segment_ids is None else x.shape
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class Pooler(Layer):
    """`f(W h + b)` of the first position, which stands for the whole row.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805

    Args:
        activation: the name of f.

    Call arguments:
        hidden: `(batch, length, hidden_dim)`; the result is `(batch, hidden_dim)`.
    """

    rank = 3

    def __init__(self, activation: str = "tanh", **kwargs) -> None:
        super().__init__(**kwargs)
        self.activation = activation

    def build(self, hidden_shape):
        self.dense = _dense(self, hidden_shape[-1], hidden_shape)

    def call(self, hidden: Any) -> Any:
        return get_activation(self.activation)(self.dense(hidden[:, 0]))

    def compute_output_spec(self, hidden):
        return keras.KerasTensor((hidden.shape[0], hidden.shape[-1]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class MeanPooling(Layer):
    """The mean over the positions of real tokens.

    Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084

    Call arguments:
        hidden: `(batch, length, hidden_dim)`.
        padding_mask: `(batch, length)`, True for real tokens; None where all are.

    Returns:
        `(batch, hidden_dim)`; zeros for a row without real tokens.
    """

    rank = 3

    def call(self, hidden: Any, padding_mask: Any = None) -> Any:
        states = ops.cast(hidden, "float32")  # float16 has no room for sums
        if padding_mask is None:
            return ops.cast(ops.mean(states, axis=1), hidden.dtype)
        weight = ops.cast(padding_mask, "float32")[:, :, None]
        mean = ops.divide_no_nan(ops.sum(states * weight, axis=1), ops.sum(weight, axis=1))
        return ops.cast(mean, hidden.dtype)

    def compute_output_spec(self, hidden, padding_mask=None):
        return keras.KerasTensor((hidden.shape[0], hidden.shape[-1]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class LastToken(Layer):
    """The last real token's hidden state, which alone has seen a whole text read from the left.

    Radford et al., 2018, "Improving Language Understanding by Generative Pre-Training", section 3.2

    Call arguments:
        hidden: `(batch, length, hidden_dim)`.
        padding_mask: `(batch, length)`, True for real tokens, padding on the right; None where all
            are.

    Returns:
        `(batch, hidden_dim)`.
    """

    rank = 3

    def call(self, hidden: Any, padding_mask: Any = None) -> Any:
        if padding_mask is None:
            return hidden[:, -1]
        last = ops.sum(ops.cast(padding_mask, "int32"), axis=1) - 1
        last = ops.maximum(last, 0)[:, None, None]
        return ops.take_along_axis(hidden, last, axis=1)[:, 0]

    def compute_output_spec(self, hidden, padding_mask=None):
        return keras.KerasTensor((hidden.shape[0], hidden.shape[-1]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class TakePositions(Layer):
    """The hidden states of some positions of each row.

    Call arguments:
        hidden: `(batch, length, hidden_dim)`.
        positions: int `(batch, count)`; None for all of them.

    Returns:
        `(batch, count or length, hidden_dim)`.
    """

    rank = 3

    def call(self, hidden: Any, positions: Any = None) -> Any:
        if positions is None:
            return hidden
        return ops.take_along_axis(hidden, ops.cast(positions, "int32")[:, :, None], axis=1)

    def compute_output_spec(self, hidden, positions=None):
        length = hidden.shape[1] if positions is None else positions.shape[1]
        shape = (hidden.shape[0], length, hidden.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class PredictionTransform(Layer):
    """`norm(f(W h + b))`, between an encoder and its tied table in masked language modelling.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805

    Args:
        activation: the name of an activation.
        norm_epsilon: float.

    Call arguments:
        hidden: `(batch, length, hidden_dim)`; the result has the same shape.
    """

    arguments = Layer.arguments | {
        "norm_epsilon": POSITIVE,
    }

    def __init__(self, activation: str = "gelu", norm_epsilon: float = 1e-12, **kwargs) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.norm_epsilon = norm_epsilon

    def build(self, hidden_shape):
        self.dense = _dense(self, hidden_shape[-1], hidden_shape)
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.norm_epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(hidden_shape)

    def call(self, hidden: Any) -> Any:
        rows = get_activation(self.activation)(self.dense(as_rows(hidden)))
        return self.norm(ops.reshape(rows, ops.shape(hidden)))

    def compute_output_spec(self, hidden):
        return keras.KerasTensor(hidden.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class Bias(Layer):
    """A learned number for each feature, added: the bias of a tied table."""

    def build(self, x_shape):
        self.bias = self.add_weight(shape=(x_shape[-1],), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        return x + ops.cast(self.bias, x.dtype)


def _dense(layer, units, input_shape):
    dense = Dense(units, kernel_initializer=Normal(0.02), dtype=layer.dtype_policy, name="dense")
    dense.build(input_shape)
    return dense
