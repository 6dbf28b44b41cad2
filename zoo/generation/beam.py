"""Beam search: the likeliest of many hypotheses that are carried side by side."""

import dataclasses

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.generation.drawing import raise_broken

NEVER = -1e30  # a log-probability below all others
KEPT = 1e30  # and one above them


@dataclasses.dataclass(frozen=True)
class Searching:
    """The computation of a `zoo.generation.Beam`: its other numbers are arguments.

    Row `i * width + j` of a model's batch is hypothesis j of text i.
    """

    width: int

    def begin(self, batch_size, copies, room, prompts, vocab_size):
        """The state before the first token; see `Drawing.begin`. `copies` are the width."""
        width = copies
        is_first = ops.arange(width, dtype="int32") == 0  # all are the same yet: one stands for all
        log_p = ops.where(is_first, 0.0, NEVER)
        return {
            "token": ops.zeros((batch_size * width,), "int32"),
            "tokens": ops.zeros((batch_size, width, room), "int32"),
            "length": ops.zeros((batch_size, width), "int32"),
            "log_p": ops.zeros((batch_size, 1), "float32") + log_p,
            "finished": ops.zeros((batch_size, width), "bool"),
            "done": ops.zeros((batch_size,), "bool"),
            "over": ops.zeros((), "bool"),
            "count": ops.zeros((), "int32"),
        }

    def take(self, state, logits, constants):
        """As `extend`, and note whether all texts are done."""
        state = extend(state, logits, constants)
        done = _are_settled(state, constants)
        return {**state, "done": done, "over": ops.all(done)}


def extend(state, logits, constants):
    """Let each text keep the likeliest hypotheses that are a token longer.

    Args:
        state: of `Searching.begin` or an earlier call, with a `cache`: nested tensors whose rows
            are those of the model's batch.
        logits: `(batch * width, vocab_size)`.
        constants: a dict of `stop_ids` int32 `(n,)` and the scalars `length_penalty` float32,
            `num_return` and `max_new_tokens` int32.

    Returns:
        The new state, the rows of its cache put in the order of the hypotheses.
    """
    batch_size, width, room = ops.shape(state["tokens"])
    vocab_size = logits.shape[-1]
    logits = ops.reshape(ops.cast(logits, "float32"), (batch_size, width, vocab_size))
    log_p = logits - ops.logsumexp(logits, axis=-1, keepdims=True) + state["log_p"][:, :, None]
    # What is finished goes on as one candidate that none can displace.
    stays = ops.where(ops.arange(vocab_size, dtype="int32") == 0, KEPT, NEVER)
    log_p = ops.where(state["finished"][:, :, None], stays, log_p)
    log_p, index = ops.top_k(ops.reshape(log_p, (batch_size, width * vocab_size)), width)
    index = ops.cast(index, "int32")
    parent, token = index // vocab_size, index % vocab_size

    finished = ops.take_along_axis(state["finished"], parent, axis=1)
    log_p = ops.where(finished, ops.take_along_axis(state["log_p"], parent, axis=1), log_p)
    tokens = ops.take_along_axis(state["tokens"], parent[:, :, None], axis=1)
    is_next = (ops.arange(room, dtype="int32") == state["count"]) & ~finished[:, :, None]
    rows = parent + width * ops.arange(batch_size, dtype="int32")[:, None]
    return {
        **state,
        "cache": backend.reorder_rows(state["cache"], ops.reshape(rows, (-1,))),
        "token": ops.reshape(token, (-1,)),
        "tokens": ops.where(is_next, token[:, :, None], tokens),
        "length": ops.take_along_axis(state["length"], parent, axis=1)
        + ops.cast(~finished, "int32"),
        "log_p": log_p,
        "finished": finished | ops.any(token[:, :, None] == constants["stop_ids"], axis=-1),
        "count": state["count"] + 1,
    }


def _are_settled(state, constants):
    """Whether no hypothesis that goes on can overtake the best `num_return` finished ones.

    Log-probabilities only fall and the divisor only grows, so none gets beyond its present one
    over the largest divisor.
    """
    finished = state["finished"]
    scores = state["log_p"] / _divisor(state["length"], constants["length_penalty"])
    scores = ops.flip(ops.sort(ops.where(finished, scores, NEVER), axis=1), axis=1)
    worst = ops.take(scores, constants["num_return"] - 1, axis=1)
    limit = _divisor(constants["max_new_tokens"], constants["length_penalty"])
    hope = ops.max(ops.where(finished, NEVER, state["log_p"] / limit), axis=1)
    has_enough = ops.sum(ops.cast(finished, "int32"), axis=1) >= constants["num_return"]
    return has_enough & (worst >= hope)


def _divisor(length, length_penalty):
    return ((5.0 + ops.cast(length, "float32")) / 6.0) ** length_penalty


def best(state, length_penalty, num_return, max_new_tokens):
    """The hypotheses that are asked for, the best first.

    Returns:
        For each text a list of `num_return` pairs: the token ids, the end token among them if it
        was reached, and the score.

    Raises:
        ValueError: if logits were not numbers.
    """
    log_p, length, finished, tokens = (
        ops.convert_to_numpy(state[name]) for name in ("log_p", "length", "finished", "tokens")
    )
    if np.isnan(log_p).any():
        raise_broken()
    scores = log_p / ((5 + length) / 6) ** length_penalty
    if int(state["count"]) < max_new_tokens:  # the others were given up
        scores = np.where(finished, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :num_return]
    return [
        [(tokens[i, j, : length[i, j]].tolist(), float(scores[i, j])) for j in row]
        for i, row in enumerate(order)
    ]
