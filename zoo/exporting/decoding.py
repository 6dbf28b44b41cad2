"""Decoding in a TensorFlow graph: `zoo.generation` traced for any number of rows and tokens."""

import dataclasses

import numpy as np
import tensorflow as tf

from zoo.backends.common import while_loop
from zoo.exporting.graph_functions import require
from zoo.generation import Sampler
from zoo.generation.beam import Searching
from zoo.generation.decoder import special_constants
from zoo.generation.drawing import BROKEN, BROKEN_RULE, Drawing, choose_tokens
from zoo.generation.noise import noise_of

GREEDY, TOP_P = Sampler(temperature=0.0).kind, Sampler(top_p=0.5).kind


@dataclasses.dataclass(frozen=True)
class AnyDrawing(Drawing):
    """Greedy at temperature 0, filtered by `top_p` above: the graph serves both."""

    is_greedy: bool = False
    is_filtered: bool = True
    is_penalised: bool = False

    def choose(self, logits, seen, uniform, numbers):
        return tf.cond(
            numbers[0] == 0,
            lambda: choose_tokens(logits, seen, uniform, numbers, GREEDY),
            lambda: choose_tokens(logits, seen, uniform, numbers, TOP_P),
        )


def draw(decoder, token_ids, lengths, max_new_tokens, temperature, top_p, seed):
    """Continuations that a `Sampler(temperature, top_p=top_p)` draws from a seed.

    Args:
        decoder: a `zoo.generation.Decoder`.
        token_ids: int32 `(batch, longest)`, prompts or sources, padded on the right.
        lengths: int32 `(batch,)`.
        max_new_tokens, seed: int32 scalars.
        temperature, top_p: float32 scalars.

    Returns:
        Ragged int32 `(batch, None)`, without what ends them.
    """
    constants = {
        "numbers": tf.stack([temperature, float("inf"), top_p, 0.0, 1.0]),
        "noise": noise(seed, tf.shape(token_ids)[0], max_new_tokens),
    }
    state = _run(decoder, token_ids, lengths, constants, AnyDrawing(), 1, max_new_tokens)
    tokens = require(state["tokens"], tf.reduce_all(state["tokens"] != BROKEN), BROKEN_RULE)
    return _cut(tokens, tf.fill([tf.shape(tokens)[0]], state["count"]), decoder)


def search(decoder, token_ids, lengths, max_new_tokens, width, length_penalty):
    """Continuations that a `Beam(width, length_penalty)` finds the best; see `draw`."""
    constants = {
        "length_penalty": length_penalty,
        "num_return": tf.constant(1),
        "max_new_tokens": max_new_tokens,
    }
    state = _run(decoder, token_ids, lengths, constants, Searching(width), width, max_new_tokens)
    length, log_p, penalty = (
        tf.cast(x, "float64") for x in (state["length"], state["log_p"], length_penalty)
    )
    log_p = require(log_p, ~tf.reduce_any(tf.math.is_nan(log_p)), BROKEN_RULE)
    # Before the last step, those that go on were given up.
    counts = state["finished"] | (state["count"] == max_new_tokens)
    scores = tf.where(counts, log_p / ((5 + length) / 6) ** penalty, -float("inf"))
    _, first = tf.math.top_k(scores, 1)
    tokens, length = (tf.gather(state[n], first[:, 0], batch_dims=1) for n in ("tokens", "length"))
    return _cut(tokens, length, decoder)


def _run(decoder, token_ids, lengths, constants, kind, copies, max_new_tokens):
    """The last state of a decoding."""
    special_tokens = decoder.model.special_tokens
    special = special_constants(special_tokens, decoder.num_choices)
    constants |= {name: tf.constant(value) for name, value in special.items()}
    length = max_new_tokens + decoder.reader.num_read(tf.shape(token_ids)[1], special_tokens)
    state, context = decoder.begin(
        token_ids, lengths, constants, kind, copies=copies, length=length, room=max_new_tokens
    )
    constants["context"] = context
    return while_loop(decoder.step)(state, max_new_tokens - 1, constants, kind=kind)


def _cut(tokens, counts, decoder):
    """`(batch, length)` tokens as ragged rows of those that count, up to what ends one."""
    stop_ids = [-1, *decoder.model.special_tokens.stop]
    is_end = tf.reduce_any(tokens[:, :, None] == stop_ids, axis=-1)
    is_before = tf.cumsum(tf.cast(is_end, "int32"), axis=1) == 0
    lengths = tf.reduce_sum(tf.cast(is_before, "int32"), axis=1)
    return tf.RaggedTensor.from_tensor(tokens, tf.minimum(lengths, counts))


def noise(seed, batch_size, num_steps):
    """float32 `(batch, steps)`: `zoo.generation.noise.uniform_noise` of each row's first sample."""
    seed = tf.cast(tf.bitwise.bitwise_and(tf.cast(seed, "int64"), 2**32 - 1), "uint32")
    prompts, steps = (tf.cast(tf.range(n), "uint32") for n in (batch_size, num_steps))
    bits = noise_of(tf.fill([batch_size], seed), prompts, np.uint32(0), steps + np.uint32(1))
    return tf.cast(bits, "float32") * 2.0**-24
