"""Beam search: the likeliest of many hypotheses that are carried side by side."""

import numpy as np
from keras import ops, tree

from zoo.backends import backend

NEVER = -1e30  # a log-probability below all others
KEPT = 1e30  # and one above them


class Beam:
    """Keep the `width` likeliest hypotheses at each step, and return those of the best score.

    `score = log p / ((5 + length) / 6)^length_penalty`, the length that of the hypothesis with its
    end token: Wu et al., 2016, section 7, https://arxiv.org/abs/1609.08144. A finished hypothesis
    keeps its place among the `width`, so that fewer are searched on. The search ends when no
    other can have a better score than those that are asked for. Nothing is drawn: there is one
    result for each model and text, and `Beam(1)` is greedy.

    ```python
    model.generate(texts, sampler=zoo.generation.Beam(5), num_return=3)  # the 3 best of each
    ```

    Args:
        width: int, at least 1 and at most the size of the vocabulary.
        length_penalty: float, at least 0: above 0 it favours longer hypotheses.

    Raises:
        ValueError: if a number is outside its range.
    """

    def __init__(self, width=5, length_penalty=0.6):
        if not isinstance(width, (int, np.integer)) or isinstance(width, bool) or width < 1:
            raise ValueError(f"width must be a whole number of at least 1; got {width!r}.")
        if not 0 <= length_penalty < float("inf"):
            raise ValueError(f"length_penalty must be at least 0; got {length_penalty!r}.")
        self.width = int(width)
        self.length_penalty = length_penalty

    def check(self, vocab_size, num_return):
        """Raise ValueError if there are not enough tokens or hypotheses."""
        if self.width > vocab_size:
            raise ValueError(
                f"A beam's width must be at most the size of the vocabulary, {vocab_size}; got "
                f"{self.width}."
            )
        if num_return > self.width:
            raise ValueError(
                f"num_return must be at most the beam's width, {self.width}; got {num_return}."
            )

    def __repr__(self):
        return f"Beam({self.width}, length_penalty={self.length_penalty!r})"


def begin(batch_size, width, length):
    """The state of a search before its first token.

    Args:
        batch_size, width: ints; row `i * width + j` of a model's batch is hypothesis j of text i.
        length: int, tokens that there is room for.
    """
    is_first = ops.arange(width) == 0  # all are the same yet: one stands for them
    return {
        "token": ops.zeros((batch_size * width,), "int32"),
        "tokens": ops.zeros((batch_size, width, length), "int32"),
        "length": ops.zeros((batch_size, width), "int32"),
        "log_p": ops.zeros((batch_size, 1), "float32") + ops.where(is_first, 0.0, NEVER),
        "finished": ops.zeros((batch_size, width), "bool"),
        "settled": ops.zeros((batch_size,), "bool"),
        "count": ops.zeros((), "int32"),
    }


def make_constants(beam, num_return, max_new_tokens, end_ids):
    """What stays the same in a search, as tensors: other numbers need no other compilation."""
    return {
        "length_penalty": ops.convert_to_tensor(beam.length_penalty, dtype="float32"),
        "num_return": ops.convert_to_tensor(num_return, dtype="int32"),
        "max_new_tokens": ops.convert_to_tensor(max_new_tokens, dtype="int32"),
        # -1 is no token: it keeps the array from being empty.
        "end_ids": ops.convert_to_tensor([-1, *end_ids], dtype="int32"),
    }


def is_unfinished(state, constants, until):
    """Whether there is a step to take before `until` tokens."""
    until = ops.minimum(until, constants["max_new_tokens"])
    return (state["count"] < until) & ~ops.all(state["settled"])


def run(loop, state, constants, make_cache, sizes, num_read):
    """Take all steps of a search, in a cache that grows: each step moves the whole of it.

    Args:
        loop: `(state, constants, until) -> state`, compiled.
        state: of `begin` or `extend`, with a `cache` of the first size.
        constants: of `make_constants`.
        make_cache: from a size to an empty cache of it.
        sizes: a list of ints, tokens that caches hold, the smallest first.
        num_read: int, tokens of the cache that are not of the search.
    """
    for size in sizes:
        until = ops.convert_to_tensor(size - num_read, dtype="int32")
        if not is_unfinished(state, constants, until):
            break
        if size > sizes[0]:
            grown = tree.map_structure(_put_into, make_cache(size), state["cache"])
            state = {**state, "cache": grown}
        state = loop(state, constants, until)
    return state


def _put_into(empty, tensor):
    """An empty tensor whose start is that of a smaller one."""
    if empty.shape == tensor.shape:
        return tensor
    return ops.slice_update(empty, (0,) * len(empty.shape), tensor)


def extend(state, logits, constants):
    """Let each text keep the likeliest hypotheses that are a token longer.

    Args:
        state: of `begin` or an earlier call, with a `cache`: nested tensors whose rows are those
            of the model's batch.
        logits: `(batch * width, vocab_size)`.
        constants: of `make_constants`.

    Returns:
        The new state, the rows of its cache put in the order of the hypotheses.
    """
    batch_size, width, length = state["tokens"].shape
    vocab_size = logits.shape[-1]
    logits = ops.reshape(ops.cast(logits, "float32"), (batch_size, width, vocab_size))
    log_p = logits - ops.logsumexp(logits, axis=-1, keepdims=True) + state["log_p"][:, :, None]
    # What is finished goes on as one candidate that none can displace.
    stays = ops.where(ops.arange(vocab_size) == 0, KEPT, NEVER)
    log_p = ops.where(state["finished"][:, :, None], stays, log_p)
    log_p, index = ops.top_k(ops.reshape(log_p, (batch_size, width * vocab_size)), width)
    index = ops.cast(index, "int32")
    parent, token = index // vocab_size, index % vocab_size

    finished = ops.take_along_axis(state["finished"], parent, axis=1)
    log_p = ops.where(finished, ops.take_along_axis(state["log_p"], parent, axis=1), log_p)
    tokens = ops.take_along_axis(state["tokens"], parent[:, :, None], axis=1)
    is_next = (ops.arange(length) == state["count"]) & ~finished[:, :, None]
    rows = parent + width * ops.arange(batch_size, dtype="int32")[:, None]
    state = {
        **state,
        "cache": backend.reorder_rows(state["cache"], ops.reshape(rows, (-1,))),
        "token": ops.reshape(token, (-1,)),
        "tokens": ops.where(is_next, token[:, :, None], tokens),
        "length": ops.take_along_axis(state["length"], parent, axis=1)
        + ops.cast(~finished, "int32"),
        "log_p": log_p,
        "finished": finished | ops.any(token[:, :, None] == constants["end_ids"], axis=-1),
        "count": state["count"] + 1,
    }
    return {**state, "settled": _are_settled(state, constants)}


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


def best(state, beam, num_return, max_new_tokens):
    """The hypotheses that are asked for, the best first.

    Returns:
        For each text a list of `num_return` pairs: the token ids, the end token among them if it
        was reached, and the score.
    """
    log_p, length, finished, tokens = (
        ops.convert_to_numpy(state[name]) for name in ("log_p", "length", "finished", "tokens")
    )
    scores = log_p / ((5 + length) / 6) ** beam.length_penalty
    if int(state["count"]) < max_new_tokens:  # the others were given up
        scores = np.where(finished, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :num_return]
    return [
        [(tokens[i, j, : length[i, j]].tolist(), float(scores[i, j])) for j in row]
        for i, row in enumerate(order)
    ]
