"""LSTM layers, by the fastest kernel of each backend."""

from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.base import Layer
from zoo.layers.quantized import Quantized
from zoo.ranges import RATE, SEED, SIZE, Choice

HELD = 1e4  # a gate of this is 1, and of its negative 0, in every dtype
GATES = {
    "sigmoid": ops.sigmoid,
    "hard_sigmoid": lambda x: ops.clip(0.2 * x + 0.5, 0, 1),  # Keras' own has another slope now
}


@keras.saving.register_keras_serializable("zoo")
class LSTMLayer(Quantized, Layer):
    """A long short-term memory over a sequence.

    Hochreiter and Schmidhuber, 1997, https://doi.org/10.1162/neco.1997.9.8.1735, with the forget
    gate of Gers et al., 2000, whose bias starts at 1 as Jozefowicz et al., 2015, advise.

        i, f, g, o = split(x_t @ kernel + h_{t-1} @ recurrent_kernel + bias)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    Its three weights are those of `keras.layers.LSTM`, and so are its numbers.

    Args:
        units: int.
        weight_dropout: float, the share of recurrent weights that a training step does without;
            all of a batch's positions do without the same. Merity et al., 2018, section 2,
            https://arxiv.org/abs/1708.02182
        kernel_initializer, recurrent_initializer: initializers.
        seed: int or None, of the dropout.
        gate: `"sigmoid"`, or `"hard_sigmoid"` for `clip(0.2 x + 0.5, 0, 1)` in its place, which
            Keras' LSTM had before version 2.3. No kernel has that: it is slow.

    Call arguments:
        x: `(batch, length, dim)`.
        state: the pair `(h, c)` of `(batch, units)` to start from; None for zeros.
        padding_mask: `(batch, length)`, True for real tokens, or None where all are. Padding on the
            right is skipped over; so is padding on the left of rows that start from zeros.

    Returns:
        `(batch, length, units)`, to be ignored at padding, and the pair `(h, c)` after each row's
        last real token.

    Raises:
        ValueError: an unknown gate.
    """

    rank = 3
    arguments = Layer.arguments | {
        "units": SIZE,
        "weight_dropout": RATE,
        "seed": SEED,
        "gate": Choice(*GATES),
    }

    def __init__(
        self,
        units: int,
        weight_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        seed: int | None = None,
        gate: str = "sigmoid",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.weight_dropout = weight_dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.seed = seed
        self.gate = gate
        self.seed_generator = keras.random.SeedGenerator(seed)

    matrices = MappingProxyType({"kernel": "kernel", "recurrent_kernel": "recurrent_kernel"})

    def build(self, x_shape):
        self.kernel = self.add_weight(
            shape=(x_shape[-1], 4 * self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, 4 * self.units),
            initializer=drawn_in_float32(self.recurrent_initializer),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(4 * self.units,), initializer=forget_gate_open, name="bias"
        )

    def call(
        self, x: Any, state: Any = None, padding_mask: Any = None, training: bool = False
    ) -> Any:
        kernel, recurrent_kernel = self.floats("kernel"), self.floats("recurrent_kernel")
        bias = ops.cast(self.bias, self.compute_dtype)
        if training and self.weight_dropout:
            recurrent_kernel = keras.random.dropout(
                recurrent_kernel, self.weight_dropout, seed=self.seed_generator
            )
        if state is None:
            state = self.make_state(ops.shape(x)[0])
        if padding_mask is None:
            return read_sequence(x, state, kernel, recurrent_kernel, bias, self.gate)
        x, kernel = hold_at_padding(x, kernel, padding_mask)
        sequence, (_, cell) = read_sequence(x, state, kernel, recurrent_kernel, bias, self.gate)
        return sequence, (last_real(sequence, padding_mask, state[0]), cell)

    def make_state(self, batch_size):
        """Zeros: the pair `(h, c)` before anything is read."""
        shape = batch_size, self.units
        return ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.compute_dtype)

    def compute_output_spec(self, x, state=None, padding_mask=None, training=False):
        shape = (*x.shape[:2], self.units)
        sequence = keras.KerasTensor(shape, dtype=self.compute_dtype)
        return sequence, symbolic_state(x.shape[0], self.units, self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class BidirectionalLSTM(Layer):
    """Two LSTMs, one of which reads from the right; each position sees the whole sequence.

    Graves and Schmidhuber, 2005, https://doi.org/10.1016/j.neunet.2005.06.042

    Args:
        units: int, of each direction.
        weight_dropout, kernel_initializer, recurrent_initializer, seed, gate: those of `LSTMLayer`.

    Call arguments:
        x: `(batch, length, dim)`.
        padding_mask: `(batch, length)`, True for real tokens, padding on the right; or None.

    Returns:
        `(batch, length, 2 * units)`, to be ignored at padding: the outputs of the forward LSTM,
        then those of the backward one.
    """

    rank = 3
    arguments = LSTMLayer.arguments

    def __init__(
        self,
        units: int,
        weight_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        seed: int | None = None,
        gate: str = "sigmoid",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.weight_dropout = weight_dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.seed = seed
        self.gate = gate
        self.forward_lstm, self.backward_lstm = (
            LSTMLayer(
                units,
                weight_dropout,
                self.kernel_initializer,
                self.recurrent_initializer,
                seed,
                gate,
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("forward", "backward")
        )

    def build(self, x_shape):
        self.forward_lstm.build(x_shape)
        self.backward_lstm.build(x_shape)

    def call(self, x: Any, padding_mask: Any = None, training: bool = False) -> Any:
        forward, _ = self.forward_lstm(x, padding_mask=padding_mask, training=training)
        flipped_mask = None if padding_mask is None else ops.flip(padding_mask, axis=1)
        backward, _ = self.backward_lstm(
            ops.flip(x, axis=1), padding_mask=flipped_mask, training=training
        )
        return ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)

    def compute_output_spec(self, x, padding_mask=None, training=False):
        return keras.KerasTensor((*x.shape[:2], 2 * self.units), dtype=self.compute_dtype)


def symbolic_state(batch_size, units, dtype):
    """A pair `(h, c)` for `compute_output_spec`: two tensors, for Keras tells them by identity."""
    return tuple(keras.KerasTensor((batch_size, units), dtype=dtype) for _ in range(2))


def read_sequence(x, state, kernel, recurrent_kernel, bias, gate="sigmoid"):
    """The LSTM's equations over a sequence, by the fastest means that there is.

    Args:
        x: `(batch, length, dim)`.
        state: the pair `(h, c)`, each `(batch, units)`.
        kernel, recurrent_kernel, bias: `(dim, 4 * units)`, `(units, 4 * units)`, `(4 * units,)`.
        gate: that of `LSTMLayer`.

    Returns:
        All `h`, `(batch, length, units)`, and the last pair `(h, c)`.
    """
    if x.shape[1] == 1:  # a step of decoding
        hidden, cell = step(ops.matmul(x[:, 0], kernel) + bias, state, recurrent_kernel, gate)
        return hidden[:, None], (hidden, cell)
    if gate != "sigmoid" or backend.lstm is None:
        return _read_step_by_step(x, state, kernel, recurrent_kernel, bias, gate)
    return backend.lstm(x, tuple(state), kernel, recurrent_kernel, bias)


def step(projected, state, recurrent_kernel, gate="sigmoid"):
    """One position: `x_t @ kernel + bias` and a state to the next state."""
    opened = GATES[gate]
    gates = projected + ops.matmul(state[0], recurrent_kernel)
    i, f, g, o = ops.split(gates, 4, axis=-1)
    cell = opened(f) * state[1] + opened(i) * ops.tanh(g)
    return opened(o) * ops.tanh(cell), cell


def _read_step_by_step(x, state, kernel, recurrent_kernel, bias, gate):
    """Keras' loop, after one product for all inputs."""

    def take_step(projected, state):
        hidden, cell = step(projected, state, recurrent_kernel, gate)
        return hidden, [hidden, cell]

    projected = ops.matmul(x, kernel) + bias
    _, sequence, last = backend.rnn(take_step, projected, list(state))
    return sequence, tuple(last)


def hold_at_padding(x, kernel, padding_mask):
    """Inputs with a feature that is 1 at padding, and a kernel by which it shuts the gates.

    The cell state then passes through padding unchanged, in any kernel that knows no masks: the
    input gate is 0 and the forget gate 1. Where the state is zeros, `h` stays zeros as well.
    """
    is_padding = ops.cast(ops.logical_not(ops.cast(padding_mask, "bool")), x.dtype)
    units = kernel.shape[1] // 4
    held, others = ops.ones((1, units), kernel.dtype), ops.zeros((1, 2 * units), kernel.dtype)
    row = ops.concatenate([held * -HELD, held * HELD, others], axis=-1)
    return (
        ops.concatenate([x, is_padding[:, :, None]], axis=-1),
        ops.concatenate([kernel, row], axis=0),
    )


def last_real(sequence, padding_mask, initial):
    """The item of `(batch, length, units)` at each row's last real token; else the initial one."""
    places = 1 + ops.arange(ops.shape(padding_mask)[1], dtype="int32")
    last = ops.max(ops.cast(padding_mask, "int32") * places, axis=1)
    gathered = ops.take_along_axis(sequence, ops.relu(last - 1)[:, None, None], axis=1)[:, 0]
    return ops.where(last[:, None] > 0, gathered, initial)


def drawn_in_float32(initializer):
    """The same initial values for every dtype: no backend makes orthogonal matrices in bfloat16."""

    def draw(shape, dtype=None):
        return ops.cast(initializer(shape, "float32"), dtype)

    return draw


def forget_gate_open(shape, dtype=None):
    """Zeros, and ones for the forget gate."""
    units = shape[0] // 4
    zeros, ones = ops.zeros((units,), dtype), ops.ones((units,), dtype)
    return ops.concatenate([zeros, ones, zeros, zeros])
