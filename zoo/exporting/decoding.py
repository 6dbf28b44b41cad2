"""Decoding in a TensorFlow graph: `zoo.generation` traced for any number of rows and tokens."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from zoo.backends.common import while_loop
from zoo.exporting.graph_functions import (
    MAX_NEW_TOKENS,
    PROCESSING,
    SAMPLING,
    TEXT,
    TRUNCATE,
    graph_function,
    require,
)
from zoo.generation import Sampler
from zoo.generation.asking import vocabulary_of
from zoo.generation.beam import Searching
from zoo.generation.decoder import special_constants
from zoo.generation.drawing import (
    BROKEN,
    BROKEN_RULE,
    STUCK,
    STUCK_RULE,
    Drawing,
    choose_tokens,
)
from zoo.generation.noise import noise_of
from zoo.generation.past import Processing
from zoo.generation.processors import MinNewTokens, OccurrencePenalty, RepetitionPenalty

GREEDY = Sampler(temperature=0.0).kind
FILTERED, TYPICAL = Sampler(top_p=0.5).kind, Sampler(typical_p=0.5).kind


class Sampling(NamedTuple):
    """Scalar tensors that say how to draw; the usual ones change nothing."""

    max_new_tokens: tf.Tensor
    seed: tf.Tensor
    temperature: tf.Tensor
    top_p: tf.Tensor
    top_k: tf.Tensor | int = 0  # 0 keeps all
    min_p: tf.Tensor | float = 0.0
    typical_p: tf.Tensor | float = 1.0
    eta_cutoff: tf.Tensor | float = 0.0
    min_new_tokens: tf.Tensor | int = 0
    repetition_penalty: tf.Tensor | float = 1.0
    presence_penalty: tf.Tensor | float = 0.0
    frequency_penalty: tf.Tensor | float = 0.0

    @property
    def numbers(self):
        """Those of `Sampler.numbers`."""
        top_k = tf.cast(self.top_k, "float32")
        top_k = tf.where(top_k == 0, float("inf"), top_k)
        filters = top_k, self.top_p, self.min_p, self.typical_p, self.eta_cutoff
        return tf.stack([self.temperature, *filters])

    def asked(self, vocabulary):
        """Constants of the `PROCESSORS`, and whether any of them changes anything."""
        repetition, occurrence, shortest = (p.constants(vocabulary) for p in PROCESSORS)
        repetition["penalty"] = tf.convert_to_tensor(self.repetition_penalty)
        occurrence["numbers"] = tf.stack([self.presence_penalty, self.frequency_penalty])
        shortest["count"] = tf.convert_to_tensor(self.min_new_tokens)
        changes = tf.reduce_any(occurrence["numbers"] != 0)
        changes |= (repetition["penalty"] != 1) | (shortest["count"] > 0)
        return {"processors": [repetition, occurrence, shortest], "changes": changes}


class AnyProcessing(Processing):
    """All processors whose numbers may be inputs; none runs where none changes anything."""

    def apply(self, logits, state, constants):
        apply = super().apply
        return tf.cond(
            constants["changes"], lambda: apply(logits, state, constants), lambda: logits
        )


PROCESSORS = RepetitionPenalty(1.0), OccurrencePenalty(), MinNewTokens(0)


@dataclasses.dataclass(frozen=True)
class AnyDrawing(Drawing):
    """Greedy at temperature 0, filtered above: the graph serves all."""

    is_greedy: bool = False
    is_filtered: bool = True
    processing: Processing = AnyProcessing(PROCESSORS)  # noqa: RUF009 - frozen, as it is
    has_scores: bool = True

    def choose(self, logits, uniform, numbers):
        def drawn():
            return tf.cond(
                numbers[4] < 1,
                lambda: choose_tokens(logits, uniform, numbers, TYPICAL),
                lambda: choose_tokens(logits, uniform, numbers, FILTERED),
            )

        return tf.cond(
            numbers[0] == 0, lambda: choose_tokens(logits, uniform, numbers, GREEDY), drawn
        )


def draw(decoder, token_ids, lengths, sampling):
    """Continuations that a `Sampler` and processors draw from a seed.

    Args:
        decoder: a `zoo.generation.Decoder`.
        token_ids: int32 `(batch, longest)`, prompts or sources, padded on the right.
        lengths: int32 `(batch,)`.
        sampling: a `Sampling`.

    Returns:
        Ragged int32 `(batch, None)`, without what ends them, and float32 `(batch,)`, the model's
        `log p` of them with what ends them.
    """
    max_new_tokens = sampling.max_new_tokens
    constants = {
        "numbers": sampling.numbers,
        "noise": noise(sampling.seed, tf.shape(token_ids)[0], max_new_tokens),
        **sampling.asked(vocabulary_of(decoder.model)),
    }
    state = _run(decoder, token_ids, lengths, constants, AnyDrawing(), 1, max_new_tokens)
    tokens = require(state["tokens"], tf.reduce_all(state["tokens"] != BROKEN), BROKEN_RULE)
    tokens = require(tokens, tf.reduce_all(tokens != STUCK), STUCK_RULE)
    found = _cut(tokens, tf.fill([tf.shape(tokens)[0]], state["count"]), decoder)
    counts = tf.minimum(tf.cast(found.row_lengths(), "int32") + 1, state["count"])
    is_counted = tf.sequence_mask(counts, max_new_tokens)
    return found, tf.reduce_sum(tf.where(is_counted, state["log_probs"], 0.0), axis=1)


def generate_signature(sample):
    """`(text, max_new_tokens, temperature, top_p, seed, truncate) -> text`: `sample` alone."""

    @graph_function(TEXT, MAX_NEW_TOKENS, *SAMPLING, TRUNCATE)
    def generate(text, max_new_tokens, temperature, top_p, seed, truncate):
        sampling = Sampling(max_new_tokens, seed, temperature, top_p)
        others = (
            tf.constant(value, spec.dtype)
            for value, spec in zip(sampling[4:], PROCESSING, strict=True)
        )
        asked = max_new_tokens, temperature, top_p, seed, *others, truncate
        return {"text": sample(text, *asked)["text"]}

    return generate


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
