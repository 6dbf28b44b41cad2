"""Cached decoding: one prefill at the prompts' length, then one step per token.

Rows of a batch have prompts of different lengths. All are aligned on the left; each row has a
position of its own, and a step writes its token's keys there, over what padding left behind; a
recurrent state is that after the row's last real token. So a row computes exactly what it would
compute alone.
"""

import math

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.generation.samplers import choose_tokens

PROMPT_BUCKETS = 16  # prompts are padded to this times a power of two
CACHE_BUCKETS = 64
BEAM_BUCKETS = 16  # a beam's cache is moved at each step: it starts small, and grows


class Decoder:
    """Compiled decoding functions of one model, kept for every sampler kind that was used.

    Args:
        model: a task with a `backbone` that has `make_cache`, `call_with_cache` and `logits`.
    """

    def __init__(self, model):
        self.model = model
        self.functions = {}

    def start(self, prompts, max_new_tokens, sampler, noise, stop_ids):
        """Read the prompts and choose the first new token of each.

        Args:
            prompts: a list of 1-D int arrays, none of them empty.
            max_new_tokens: int, at least 1.
            sampler: a `Sampler`.
            noise: float32 `(batch, max_new_tokens)`.
            stop_ids: a list of token ids that end a row.

        Returns:
            A `Decoding` that holds one new token a row.
        """
        max_length = context_length(self.model.backbone)
        lengths = np.array([len(p) for p in prompts], "int32")
        prompt_length = bucket(lengths.max(), PROMPT_BUCKETS, max_length)
        cache_length = bucket(lengths.max() + max_new_tokens, CACHE_BUCKETS, max_length)
        token_ids = np.zeros((len(prompts), prompt_length), "int32")
        for row, prompt in zip(token_ids, prompts, strict=True):
            row[: len(prompt)] = prompt
        prefill, advance = self._functions(sampler.kind, cache_length)
        noise = np.pad(noise, ((0, 0), (0, cache_length - noise.shape[1])))
        constants = {
            "numbers": ops.convert_to_tensor(sampler.numbers),
            "noise": ops.convert_to_tensor(noise, dtype="float32"),
            # -1 is no token: it keeps the array from being empty.
            "stop_ids": ops.convert_to_tensor([-1, *stop_ids], dtype="int32"),
        }
        state = prefill(ops.convert_to_tensor(token_ids), ops.convert_to_tensor(lengths), constants)
        return Decoding(state, advance, constants, max_new_tokens)

    def _functions(self, kind, cache_length):
        key = kind, cache_length
        if key not in self.functions:
            self.functions[key] = (
                backend.compile_function(self.model, self._make_prefill(kind, cache_length)),
                backend.compile_loop(self.model, is_unfinished, self._make_step(kind)),
            )
        return self.functions[key]

    def _make_prefill(self, kind, cache_length):
        backbone = self.model.backbone

        def prefill(token_ids, lengths, constants):
            batch_size, prompt_length = token_ids.shape
            cache = backbone.make_cache(batch_size, cache_length)
            hidden, cache = read_prompts(backbone, token_ids, lengths, cache)
            last = ops.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)
            seen = ops.zeros((batch_size, 1), "bool")
            if kind[2]:
                real = ops.arange(prompt_length) < lengths[:, None]
                ids = ops.where(real, token_ids, token_ids[:, :1])
                seen = _mark(ops.zeros((batch_size, backbone.vocab_size), "bool"), ids)
            state = {
                "cache": cache,
                "position": lengths,
                "count": ops.zeros((), "int32"),
                "token": ops.zeros((batch_size,), "int32"),
                "tokens": ops.zeros((batch_size, cache_length), "int32"),
                "finished": ops.zeros((batch_size,), "bool"),
                "seen": seen,
            }
            return take_token(state, backbone.logits(last)[:, 0], constants, kind)

        return prefill

    def _make_step(self, kind):
        backbone = self.model.backbone

        def step(state, constants, until):
            hidden, cache = backbone.call_with_cache(
                state["token"][:, None], state["cache"], state["position"]
            )
            state = {**state, "cache": cache, "position": state["position"] + 1}
            return take_token(state, backbone.logits(hidden)[:, 0], constants, kind)

        return step


def read_prompts(backbone, token_ids, lengths, cache):
    """Hidden states of prompts that are padded on the right, and the filled cache."""
    if not backbone.is_recurrent:
        return backbone.call_with_cache(token_ids, cache, 0)
    padding_mask = ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None]
    return backbone.call_with_cache(token_ids, cache, 0, padding_mask)


def is_unfinished(state, constants, until):
    return (state["count"] < until) & ~ops.all(state["finished"])


def take_token(state, logits, constants, kind):
    """Choose the next token of every row and note it."""
    count = state["count"]
    uniform = ops.take(constants["noise"], count, axis=1)
    token = choose_tokens(logits, state["seen"], uniform, constants["numbers"], kind)
    seen = state["seen"]
    if kind[2]:
        seen = _mark(seen, token[:, None])
    is_next = ops.arange(state["tokens"].shape[1]) == count
    is_stop = ops.any(token[:, None] == constants["stop_ids"], axis=1)
    return {
        **state,
        "token": token,
        "tokens": ops.where(is_next, token[:, None], state["tokens"]),
        "finished": state["finished"] | is_stop,
        "seen": seen,
        "count": count + 1,
    }


def _mark(seen, token_ids):
    """`seen` `(batch, vocab_size)` with the columns `token_ids` `(batch, length)` set."""
    batch_size, length = token_ids.shape
    rows = ops.repeat(ops.arange(batch_size, dtype="int32"), length)
    indices = ops.stack([rows, ops.reshape(token_ids, (-1,))], axis=-1)
    return ops.scatter_update(seen, indices, ops.ones((batch_size * length,), "bool"))


class Decoding:
    """A batch on its way: its state on the device, and how to go on."""

    def __init__(self, state, advance, constants, max_new_tokens):
        self.state = state
        self.constants = constants
        self.max_new_tokens = max_new_tokens
        self._advance = advance

    @property
    def count(self):
        return int(self.state["count"])

    def advance(self, num_steps):
        """Choose up to `num_steps` more tokens, fewer once every row is finished."""
        until = min(self.count + num_steps, self.max_new_tokens)
        until = ops.convert_to_tensor(until, dtype="int32")
        self.state = self._advance(self.state, self.constants, until)

    @property
    def is_done(self):
        return self.count >= self.max_new_tokens or bool(self.finished.all())

    @property
    def tokens(self):
        """int32 `(batch, count)`: the new tokens, in finished rows with something after the end."""
        return ops.convert_to_numpy(self.state["tokens"])[:, : self.count]

    @property
    def finished(self):
        return ops.convert_to_numpy(self.state["finished"])

    def finish(self, rows):
        """Mark rows, a bool `(batch,)` array, as finished."""
        finished = ops.convert_to_tensor(self.finished | rows)
        self.state = {**self.state, "finished": finished}


def context_length(backbone):
    """How many tokens a prompt and its continuation may have together."""
    return math.inf if backbone.is_recurrent else backbone.max_length


def bucket(length, unit, most):
    """The smallest `unit * 2^n` that holds `length`, and no more than `most`."""
    return bucket_sizes(length, unit, most)[-1]


def bucket_sizes(length, unit, most):
    """All sizes `unit * 2^n` up to the first that holds `length`, and none above `most`."""
    sizes = [min(unit, most)]
    while sizes[-1] < min(length, most):
        sizes.append(min(2 * sizes[-1], most))
    return sizes
