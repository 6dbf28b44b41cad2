"""A batch on its way: its state, how it goes on, and how texts that are over leave it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops, tree

from zoo.backends.buckets import bucket, pad_rows

SHRINK = 4  # times smaller a batch must become: each size is traced or compiled for itself
OUTCOMES = ("tokens", "log_probs", "scores", "log_p", "length", "finished")


class Decoding:
    """A batch on its way: its state on the device, and how to go on.

    Args:
        state: nested tensors.
        constants: nested tensors, what every step reads.
        advance: `(state, num_steps, constants) -> state`.
        grow: `(cache, size, constants, num_texts) -> cache`, with room for more.
        capacities: `{size: new tokens}` that a cache of each size has room for, the smallest first.
        request: a `Request`.
        num_texts: int.
    """

    def __init__(
        self,
        state: dict,
        constants: dict,
        advance: Callable,
        grow: Callable,
        capacities: dict,
        request: Any,
        num_texts: int = 1,
    ) -> None:
        self._constants = constants
        self._advance, self._grow = advance, grow
        self._capacities = list(capacities.items())
        self._request = request
        self._texts = np.arange(num_texts)  # those that are carried, by their places at the start
        self._left = None  # the outcomes of all texts, once some have left
        self._take(state)

    def _take(self, state):
        self.state = state
        self.count, self.is_over = int(state["count"]), bool(state["over"])

    @property
    def is_done(self):
        return self.is_over or self.count >= self._request.max_new_tokens

    @property
    def num_texts(self):
        """How many texts are carried."""
        return len(self._texts)

    def advance(self, num_steps):
        """Choose up to `num_steps` more tokens, fewer once every row is finished."""
        until = min(self.count + num_steps, self._request.max_new_tokens)
        while self.count < until and not self.is_over:
            if self.count >= self._capacities[0][1]:
                del self._capacities[0]
                size = self._capacities[0][0]
                cache = self._grow(self.state["cache"], size, self._constants, self.num_texts)
                self.state = {**self.state, "cache": cache}
            num_steps = min(until, self._capacities[0][1]) - self.count
            self._take(self._advance(self.state, num_steps, self._constants))

    def thin_out(self):
        """Let the texts that are over leave, once the others fit into a much smaller batch."""
        done = ops.convert_to_numpy(self.state["done"]).reshape(self.num_texts, -1).all(axis=1)
        live = np.flatnonzero(~done)
        size = bucket(len(live), 1, self.num_texts)
        if len(live) and size * SHRINK <= self.num_texts:
            self._left = self.outcomes()
            self._keep(pad_rows(live, size))

    def _keep(self, places):
        """Go on with the texts at these places alone."""

        def kept(tensor):
            if not len(tensor.shape):
                return tensor
            rows = rows_of(places, tensor.shape[0] // self.num_texts)
            return ops.take(tensor, ops.convert_to_tensor(rows.astype("int32")), axis=0)

        self.state = tree.map_structure(kept, self.state)
        own = {n: self._constants[n] for n in ("noise", "context") if n in self._constants}
        self._constants = {**self._constants, **tree.map_structure(kept, own)}
        self._texts = self._texts[places]

    def outcomes(self):
        """`{name: array}` of all texts, those that have left among them.

        They are what `Drawing.begin` and `Searching.begin` say, and `count`, how many tokens were
        chosen for each text. What follows the end of a text is anything.
        """
        found = {n: ops.convert_to_numpy(self.state[n]) for n in OUTCOMES if n in self.state}
        found["count"] = np.full(self.num_texts, self.count)
        if self._left is None:
            return found
        whole = {name: array.copy() for name, array in self._left.items()}
        for name, array in found.items():
            whole[name][rows_of(self._texts, len(array) // self.num_texts)] = array
        return whole

    @property
    def tokens(self):
        """int32 array `(rows, count)`: new tokens, in finished rows with something after the end.

        A beam's is `(batch, width, count)`.
        """
        return self.outcomes()["tokens"][..., : self.count]

    def noted(self):
        """`{name: float32 array (rows, count)}`: what is noted of each new token, if asked for."""
        found = self.outcomes()
        return {n: found[n][..., : self.count] for n in ("log_probs", "scores") if n in found}

    def finish(self, rows):
        """Mark rows, a bool array of those of all texts, as finished."""
        done = ops.convert_to_numpy(self.state["done"])
        done = done | rows[rows_of(self._texts, len(done) // self.num_texts)]
        self.is_over = bool(done.all())
        changed = {"done": done, "over": np.array(self.is_over)}
        self.state = self.state | {n: ops.convert_to_tensor(v) for n, v in changed.items()}


def rows_of(places, copies):
    """Where the rows of texts are, of which each has `copies`, one after the other."""
    return (places[:, None] * copies + np.arange(copies)).ravel()
