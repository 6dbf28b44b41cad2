"""How the next token is chosen from its logits."""

import numpy as np
from keras import ops

from zoo.generation.beam import Beam


class Sampler:
    """Draw from the model's distribution, reshaped and cut by the filters that are given.

    The order is that of common practice: repetition penalty, temperature, then top-k, top-p and
    min-p together, each judging the same distribution; what is left is drawn from.

    Args:
        temperature: float, at least 0: divides the logits. 0 is greedy.
        top_k: int, keep the k likeliest tokens; None for all. Fan et al., 2018,
            https://arxiv.org/abs/1805.04833
        top_p: float in (0, 1], keep the likeliest tokens that together reach p. Holtzman et al.,
            2020, https://arxiv.org/abs/1904.09751
        min_p: float in [0, 1], keep tokens at least that fraction as likely as the likeliest.
            Nguyen et al., 2024, https://arxiv.org/abs/2407.01082
        repetition_penalty: float, above 0: logits of tokens that occurred are divided by it when
            positive, multiplied when negative. Keskar et al., 2019,
            https://arxiv.org/abs/1909.05858

    Raises:
        ValueError: if a number is outside its range.
    """

    def __init__(self, temperature=1.0, top_k=None, top_p=None, min_p=None, repetition_penalty=1.0):
        _require(temperature >= 0, "temperature must be at least 0 (0 is greedy)", temperature)
        _require(
            top_k is None or (top_k >= 1 and int(top_k) == top_k),
            "top_k must be a whole number of at least 1, or None to keep every token",
            top_k,
        )
        _require(
            top_p is None or 0 < top_p <= 1,
            "top_p must be above 0 and at most 1, or None to keep every token",
            top_p,
        )
        _require(
            min_p is None or 0 <= min_p <= 1,
            "min_p must be between 0 and 1, or None to keep every token",
            min_p,
        )
        _require(
            repetition_penalty > 0,
            "repetition_penalty must be above 0 (1 changes nothing)",
            repetition_penalty,
        )
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.min_p = min_p
        self.repetition_penalty = repetition_penalty

    @property
    def is_greedy(self):
        return self.temperature == 0

    @property
    def is_filtered(self):
        """Whether tokens must be ranked before drawing."""
        return (self.top_k, self.top_p, self.min_p) != (None, None, None)

    @property
    def is_penalised(self):
        return self.repetition_penalty != 1

    @property
    def kind(self):
        """What decides which computation is compiled; the numbers are passed to it."""
        return self.is_greedy, self.is_filtered, self.is_penalised

    @property
    def numbers(self):
        """float32 `(5,)`: temperature, top-k, top-p, min-p and penalty; what is None is inert."""
        return np.array(
            [
                self.temperature,
                self.top_k or np.inf,
                1.0 if self.top_p is None else self.top_p,
                self.min_p or 0.0,
                self.repetition_penalty,
            ],
            "float32",
        )

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class Greedy(Sampler):
    """Always the likeliest token."""

    def __init__(self, repetition_penalty=1.0):
        super().__init__(temperature=0.0, repetition_penalty=repetition_penalty)


class Temperature(Sampler):
    """Draw from the whole distribution, sharper below 1 and flatter above."""

    def __init__(self, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, repetition_penalty=repetition_penalty)


class TopK(Sampler):
    """Draw from the k likeliest tokens."""

    def __init__(self, k, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, top_k=k, repetition_penalty=repetition_penalty)


class TopP(Sampler):
    """Draw from the likeliest tokens that together reach probability p."""

    def __init__(self, p, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, top_p=p, repetition_penalty=repetition_penalty)


class MinP(Sampler):
    """Draw from tokens at least p times as likely as the likeliest."""

    def __init__(self, p, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, min_p=p, repetition_penalty=repetition_penalty)


def get_sampler(sampler):
    """A `Sampler` or `Beam` as itself, `"greedy"`, or `"temperature"` to draw from everything."""
    names = {"greedy": Greedy, "temperature": Temperature}
    if isinstance(sampler, (Sampler, Beam)):
        return sampler
    if isinstance(sampler, str) and sampler in names:
        return names[sampler]()
    raise ValueError(
        f"sampler must be 'greedy', 'temperature' or a zoo.generation sampler such as "
        f"TopP(p=0.9); got {sampler!r}."
    )


def choose_tokens(logits, seen, uniform, numbers, kind):
    """Choose one token for each row.

    Args:
        logits: `(batch, vocab_size)`.
        seen: bool `(batch, vocab_size)`, tokens that occurred; read only under a penalty.
        uniform: float32 `(batch,)` in [0, 1), the chance that decides; not read when greedy.
        numbers, kind: those of a `Sampler`.

    Returns:
        int32 `(batch,)`.
    """
    is_greedy, is_filtered, is_penalised = kind
    temperature, top_k, top_p, min_p, penalty = (numbers[i] for i in range(5))
    logits = ops.cast(logits, "float32")
    if is_penalised:
        penalised = ops.where(logits > 0, logits / penalty, logits * penalty)
        logits = ops.where(seen, penalised, logits)
    if is_greedy:
        return ops.cast(ops.argmax(logits, axis=-1), "int32")
    probabilities = ops.softmax(logits / temperature, axis=-1)
    if not is_filtered:
        return _draw(probabilities, uniform)
    ranked_ids = ops.argsort(-probabilities, axis=-1)
    ranked = ops.take_along_axis(probabilities, ranked_ids, axis=-1)
    rank = ops.arange(ranked.shape[-1], dtype="float32")
    reached_before = ops.cumsum(ranked, axis=-1) - ranked
    kept = (rank < top_k) & (reached_before < top_p) & (ranked >= min_p * ranked[:, :1])
    kept = kept | (rank == 0)
    rank_drawn = _draw(ops.where(kept, ranked, 0.0), uniform)
    token = ops.take_along_axis(ranked_ids, rank_drawn[:, None], axis=-1)[:, 0]
    return ops.cast(token, "int32")


def _draw(weights, uniform):
    """The index at which the running sum of `weights` passes `uniform` of their total."""
    running = ops.cumsum(weights, axis=-1)
    index = ops.sum(ops.cast(running <= uniform[:, None] * running[:, -1:], "int32"), axis=-1)
    # Rounding can carry the last step past everything that has weight.
    last = weights.shape[-1] - 1 - ops.argmax(ops.flip(weights > 0, axis=-1), axis=-1)
    return ops.minimum(index, ops.cast(last, "int32"))


def _require(condition, rule, value):
    if not condition:
        raise ValueError(f"{rule}; got {value!r}.")
