"""A batch on its way: its state, and how it goes on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops


class Decoding:
    """A batch on its way: its state on the device, and how to go on.

    Args:
        state: nested tensors.
        advance: `(state, num_steps) -> state`.
        grow: `(cache, size) -> cache`, with room for more.
        capacities: `{size: new tokens}` that a cache of each size has room for, the smallest first.
        request: a `Request`.
    """

    def __init__(
        self, state: dict, advance: Callable, grow: Callable, capacities: dict, request: Any
    ) -> None:
        self._advance, self._grow = advance, grow
        self._capacities = list(capacities.items())
        self._request = request
        self._take(state)

    def _take(self, state):
        self.state = state
        self.count, self.is_over = int(state["count"]), bool(state["over"])

    @property
    def is_done(self):
        return self.is_over or self.count >= self._request.max_new_tokens

    def advance(self, num_steps):
        """Choose up to `num_steps` more tokens, fewer once every row is finished."""
        until = min(self.count + num_steps, self._request.max_new_tokens)
        while self.count < until and not self.is_over:
            if self.count >= self._capacities[0][1]:
                del self._capacities[0]
                cache = self._grow(self.state["cache"], self._capacities[0][0])
                self.state = {**self.state, "cache": cache}
            num_steps = min(until, self._capacities[0][1]) - self.count
            self._take(self._advance(self.state, num_steps))

    @property
    def tokens(self):
        """int32 array `(rows, count)`: new tokens, in finished rows with something after the end.

        A beam's is `(batch, width, count)`.
        """
        return ops.convert_to_numpy(self.state["tokens"])[..., : self.count]

    def noted(self):
        """`{name: float32 array (rows, count)}`: what is noted of each new token, if asked for."""
        names = [name for name in ("log_probs", "scores") if name in self.state]
        return {n: ops.convert_to_numpy(self.state[n])[..., : self.count] for n in names}

    def finish(self, rows):
        """Mark rows, a bool array `(rows,)`, as finished."""
        done = ops.convert_to_numpy(self.state["done"]) | rows
        self.is_over = bool(done.all())
        changed = {"done": done, "over": np.array(self.is_over)}
        self.state = self.state | {n: ops.convert_to_tensor(v) for n, v in changed.items()}
