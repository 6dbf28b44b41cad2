"""The LSTM's loop for JAX, with a backward pass of its own.

JAX would add up the weights' gradients position by position. Here the loop back finds the gradients
of the gates alone; those of the weights are one matrix product each, after it.
"""

import jax
import jax.numpy as jnp
from keras import ops
from keras.src import backend

from zoo.backends.jax.kernels import product_in_float32


def lstm(x, state, kernel, recurrent_kernel, bias):
    """What `zoo.layers.recurrent.read_sequence` does; the arguments are those."""
    # cuDNN as JAX calls it knows float32 alone, and says so only while the call is lowered.
    if any(part.dtype != jnp.float32 for part in (x, *state, kernel, recurrent_kernel, bias)):
        return scan_lstm(x, state, kernel, recurrent_kernel, bias)
    try:  # Keras' call of cuDNN
        _, sequence, last = backend.lstm(
            x,
            *state,
            None,
            kernel=kernel,
            recurrent_kernel=recurrent_kernel,
            bias=bias,
            activation=ops.tanh,
            recurrent_activation=ops.sigmoid,
            return_sequences=True,
        )
        return sequence, tuple(last)
    except NotImplementedError:  # there is no GPU
        return scan_lstm(x, state, kernel, recurrent_kernel, bias)


@jax.custom_vjp
def scan_lstm(x, state, kernel, recurrent_kernel, bias):
    """What `zoo.layers.recurrent.read_sequence` does; the arguments are those."""
    results, _ = _forward(x, state, kernel, recurrent_kernel, bias)
    return results


def _forward(x, state, kernel, recurrent_kernel, bias):
    def step(state, x):
        gates = x @ kernel + state[0] @ recurrent_kernel + bias
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        cell = f * state[1] + i * g
        hidden = o * jnp.tanh(cell)
        return (hidden, cell), (hidden, cell, jnp.concatenate([i, f, g, o], axis=-1))

    last, (hidden, cell, gates) = jax.lax.scan(step, tuple(state), x.swapaxes(0, 1))
    kept = x, state, kernel, recurrent_kernel, hidden, cell, gates
    return (hidden.swapaxes(0, 1), last), kept


def _backward(kept, gradients):
    x, state, kernel, recurrent_kernel, hidden, cell, gates = kept
    d_sequence, d_last = gradients
    hidden_before = jnp.concatenate([state[0][None], hidden[:-1]])
    cell_before = jnp.concatenate([state[1][None], cell[:-1]])

    def step(d_state, inputs):
        d_output, gates, cell, cell_before = inputs
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        squashed = jnp.tanh(cell)
        d_hidden = d_state[0] + d_output
        d_cell = d_state[1] + d_hidden * o * (1 - squashed**2)
        d_gates = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * cell_before * f * (1 - f),
                d_cell * i * (1 - g**2),
                d_hidden * squashed * o * (1 - o),
            ],
            axis=-1,
        )
        return (d_gates @ recurrent_kernel.T, d_cell * f), d_gates

    inputs = d_sequence.swapaxes(0, 1), gates, cell, cell_before
    d_state, d_gates = jax.lax.scan(step, d_last, inputs, reverse=True)
    d_rows = d_gates.reshape(-1, d_gates.shape[-1])

    def weight_gradient(inputs):  # a sum over all tokens
        rows = inputs.reshape(-1, inputs.shape[-1])
        return product_in_float32(rows.T, d_rows).astype(kernel.dtype)

    return (
        (d_gates @ kernel.T).swapaxes(0, 1),
        d_state,
        weight_gradient(x.swapaxes(0, 1)),
        weight_gradient(hidden_before),
        d_rows.sum(axis=0),
    )


scan_lstm.defvjp(_forward, _backward)
