"""Beam search: the likeliest of many hypotheses that are carried side by side."""

import dataclasses

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.generation.drawing import raise_where
from zoo.generation.past import EMPTY, NOTHING, Processing, count

NEVER = -1e30  # a log-probability below all others
KEPT = 1e30  # and one above them


@dataclasses.dataclass(frozen=True)
class Searching:
    """The computation of a `zoo.generation.Beam`: its other numbers are arguments.

    Row `i * width + j` of a model's batch is hypothesis j of text i.
    """

    width: int
    groups: int = 1
    processing: Processing = NOTHING
    has_scores: bool = False

    keeps_hidden = False

    def begin(self, batch_size, copies, room, prompts):
        """The state before the first token; see `Drawing.begin`. `copies` are the width."""
        width = copies
        size = width // self.groups
        # All of a group are the same yet: one stands for all.
        is_first = ops.arange(width, dtype="int32") % size == 0
        log_p = ops.where(is_first, 0.0, NEVER)
        scores = {
            name: ops.zeros((batch_size, width, room), "float32")
            for name in ("log_probs", "scores")
            if self.has_scores
        }
        return {
            "token": ops.zeros((batch_size * width,), "int32"),
            "tokens": ops.zeros((batch_size, width, room), "int32"),
            "length": ops.zeros((batch_size, width), "int32"),
            "log_p": ops.zeros((batch_size, 1), "float32") + log_p,
            "finished": ops.zeros((batch_size, width), "bool"),
            "done": ops.zeros((batch_size,), "bool"),
            "over": ops.zeros((), "bool"),
            "count": ops.zeros((), "int32"),
            **scores,
            **self.processing.begin(batch_size * width, width, room, prompts),
        }

    def first(self, state, logits, constants):
        return self.take(state, logits, constants)

    def take(self, state, logits, constants):
        """As `extend`, and note whether all texts are done."""
        state = extend(state, logits, constants, self)
        done = _are_settled(state, constants)
        return {**state, "done": done, "over": ops.all(done)}


def extend(state, logits, constants, kind):
    """Let each text keep the likeliest hypotheses that are a token longer.

    Args:
        state: of `Searching.begin` or an earlier call, with a `cache`: nested tensors whose rows
            are those of the model's batch.
        logits: `(batch * width, vocab_size)`.
        constants: a dict of `stop_ids` int32 `(n,)` and the scalars `length_penalty` and
            `diversity` float32, `num_return` and `max_new_tokens` int32.
        kind: a `Searching`.

    Returns:
        The new state, the rows of its cache put in the order of the hypotheses.
    """
    batch_size, width, room = ops.shape(state["tokens"])
    vocab_size = logits.shape[-1]
    logits = ops.cast(logits, "float32")
    own = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
    added = ops.reshape(
        kind.processing.apply(own, state, constants), (batch_size, width, vocab_size)
    )
    # What is finished goes on as one candidate that none can displace.
    stays = ops.where(ops.arange(vocab_size, dtype="int32") == 0, KEPT, NEVER)
    candidates = added + state["log_p"][:, :, None]
    candidates = ops.where(state["finished"][:, :, None], stays, candidates)
    log_p, parent, token = _likeliest(candidates, state["finished"], constants, kind)

    # What else follows something finished stands where there is nothing better.
    was_finished = ops.take_along_axis(state["finished"], parent, axis=1) & (token == 0)
    log_p = ops.where(was_finished, ops.take_along_axis(state["log_p"], parent, axis=1), log_p)
    rows = ops.reshape(parent + width * ops.arange(batch_size, dtype="int32")[:, None], (-1,))
    is_next = (ops.arange(room, dtype="int32") == state["count"]) & ~was_finished[:, :, None]

    def noted(name, value):
        kept = ops.take_along_axis(state[name], parent[:, :, None], axis=1)
        return ops.where(is_next, value[:, :, None], kept)

    scores = {}
    if kind.has_scores:
        own = ops.reshape(own, (batch_size, width, vocab_size))
        scores["log_probs"] = noted("log_probs", _at(own, parent, token))
        scores["scores"] = noted("scores", _at(added, parent, token))
    is_stop = ops.any(token[:, :, None] == constants["stop_ids"], axis=-1)
    flat = ops.reshape(token, (-1,))
    return {
        **state,
        "cache": backend.reorder_rows(state["cache"], rows),
        "token": flat,
        "tokens": noted("tokens", token),
        "length": ops.take_along_axis(state["length"], parent, axis=1)
        + ops.cast(~was_finished, "int32"),
        "log_p": log_p,
        "finished": was_finished | (is_stop & (log_p > NEVER)),  # what may not be never ends
        "count": state["count"] + 1,
        **scores,
        **kind.processing.advance(state, flat, constants, rows),
    }


def _likeliest(candidates, finished, constants, kind):
    """The best continuations of each text, `width` of them, or so many of each group.

    A group after the first likes a token less for each time that a group before it chose it: by
    `diversity`, which counts for the choice alone. Vijayakumar et al., 2018,
    https://arxiv.org/abs/1610.02424

    Args:
        candidates: `(batch, width, vocab_size)`, log-probabilities.
        finished: bool `(batch, width)`, the hypotheses that are over.

    Returns:
        Log-probabilities, parents and tokens, each `(batch, width)`.
    """
    width, vocab_size = ops.shape(candidates)[1], candidates.shape[-1]
    if kind.groups == 1:
        return _top(candidates, candidates, width)
    size = width // kind.groups
    found, used = [], 0.0  # how often a token was chosen by the groups before
    for start in range(0, width, size):
        group, is_over = candidates[:, start : start + size], finished[:, start : start + size]
        judged = group - ops.where(is_over[:, :, None], 0.0, constants["diversity"] * used)
        log_p, parent, token = _top(judged, group, size)
        found.append((log_p, start + parent, token))
        goes_on = ~ops.take_along_axis(is_over, parent, axis=1)
        used = used + count(ops.where(goes_on, token, EMPTY), vocab_size)[:, None]
    return tuple(ops.concatenate(parts, axis=1) for parts in zip(*found, strict=True))


def _top(judged, candidates, size):
    """The `size` best of candidates `(batch, hypotheses, vocab_size)`, as `judged`."""
    batch_size, hypotheses = ops.shape(candidates)[:2]
    vocab_size = candidates.shape[-1]
    flat = batch_size, hypotheses * vocab_size
    _, index = ops.top_k(ops.reshape(judged, flat), size)
    index = ops.cast(index, "int32")
    log_p = ops.take_along_axis(ops.reshape(candidates, flat), index, axis=1)
    return log_p, index // vocab_size, index % vocab_size


def _at(values, parent, token):
    """`values[b, parent[b, i], token[b, i]]` of `(batch, width, vocab_size)`."""
    batch_size, width = ops.shape(values)[:2]
    flat = ops.reshape(values, (batch_size, width * values.shape[-1]))
    return ops.take_along_axis(flat, parent * values.shape[-1] + token, axis=1)


def _are_settled(state, constants):
    """Whether no hypothesis that goes on can overtake the best `num_return` finished ones.

    Log-probabilities only fall and the divisor only grows, so none gets beyond its present one
    over the largest divisor.
    """
    finished = state["finished"]
    scores = state["log_p"] / _divisor(state["length"], constants)
    scores = ops.flip(ops.sort(ops.where(finished, scores, NEVER), axis=1), axis=1)
    worst = ops.take(scores, constants["num_return"] - 1, axis=1)
    limit = _divisor(constants["max_new_tokens"], constants)
    hope = ops.max(ops.where(finished, NEVER, state["log_p"] / limit), axis=1)
    has_enough = ops.sum(ops.cast(finished, "int32"), axis=1) >= constants["num_return"]
    return has_enough & (worst >= hope)


def _divisor(length, constants):
    offset = constants.get("length_offset", 5.0)
    return ((offset + ops.cast(length, "float32")) / (offset + 1.0)) ** constants["length_penalty"]


def best(found, length_penalty, num_return, max_new_tokens, length_offset=5):
    """The hypotheses that are asked for, the best first.

    Args:
        found: of `zoo.generation.Decoding.outcomes`.
        length_penalty, num_return, max_new_tokens, length_offset: of a request and its `Beam`.

    Returns:
        For each text a list of `num_return` triples: the token ids, the end token among them if it
        was reached, the score, and a dict of what was noted of each token, by name.

    Raises:
        ValueError: if logits were not numbers, or fewer hypotheses were allowed.
    """
    names = [n for n in ("log_probs", "scores") if n in found]
    noted = [found[name] for name in names]
    log_p, length, tokens = (found[name] for name in ("log_p", "length", "tokens"))
    raise_where(np.isnan(log_p).any())
    scores = log_p / ((length_offset + length) / (length_offset + 1)) ** length_penalty
    is_given_up = ~found["finished"] & (found["count"] < max_new_tokens)[:, None]
    scores = np.where(is_given_up, -np.inf, scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :num_return]
    worst = np.take_along_axis(log_p, order, axis=1).min(axis=1)
    if (worst <= NEVER).any():
        num_allowed = int((log_p > NEVER).sum(axis=1).min())
        raise ValueError(
            f"What is asked of the text allows only {num_allowed} of the {num_return} hypotheses "
            "that are to be returned. Ask for fewer, or for a wider beam."
        )

    def hypothesis(i, j):
        end = length[i, j]
        numbers = {n: x[i, j, :end].tolist() for n, x in zip(names, noted, strict=True)}
        return tokens[i, j, :end].tolist(), float(scores[i, j]), numbers

    return [[hypothesis(i, j) for j in row] for i, row in enumerate(order)]
