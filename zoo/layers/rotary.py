"""Rotary positions, and the ways to stretch them over texts longer than those of training.

A scaling is given in plain JSON, by its kind and the fields of the class below:

    RotaryEmbedding(scaling={"kind": "linear", "factor": 2.0})
"""

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from zoo.layers import masks
from zoo.layers.positions import AttentionPosition, frequencies, require_even
from zoo.ranges import POSITIVE, SIZE

MOST = 2.0**24  # of a number of a scaling


@keras.saving.register_keras_serializable("zoo")
class RotaryEmbedding(AttentionPosition):
    """Rotate feature pairs so that attention scores depend only on distance.

    Su et al., 2021, https://arxiv.org/abs/2104.09864. Feature i is paired with feature
    i + rotary_dim/2, as in GPT-NeoX and Llama checkpoints.

    Args:
        base: float.
        scaling: a dict of a `"kind"`, one of `SCALINGS`, and its fields; None for none.
        rotary_dim: int, even: the first features of a head, which alone are turned; None for all.

    Call arguments:
        x: `(batch, length, heads, head_dim)`, `head_dim` even.
        start: position of `x[:, 0]`, an int or `(batch,)` int tensor; nonzero when decoding from
            a cache.

    Raises:
        ValueError: if what is turned has an odd number of features, or more than there are; a
            scaling that is none of these.
    """

    rank = 4
    arguments = AttentionPosition.arguments | {
        "base": POSITIVE,
        "rotary_dim": SIZE,
    }

    def __init__(
        self,
        base: float = 10_000,
        scaling: dict | None = None,
        rotary_dim: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.scaling = scaling_of(scaling)
        self.rotary_dim = rotary_dim

    def rotate(self, x, start=0):
        return self(x, start=start)

    def call(self, x: Any, start: Any = 0) -> Any:
        head_dim = x.shape[-1]
        dim = head_dim if self.rotary_dim is None else self.rotary_dim
        require_even(self, dim, "head_dim" if self.rotary_dim is None else "rotary_dim", x.shape)
        if dim > head_dim:
            raise ValueError(f"rotary_dim must be at most head_dim, {head_dim}; got {dim}.")
        position = ops.cast(masks.positions(start, ops.shape(x)[1]), "float32")[:, :, None]
        angle = position * self.scaling.frequency(frequencies(dim, self.base), position, self.base)
        angle = angle[:, :, None, :]  # (1 or batch, length, 1, dim/2)
        cos, sin = ops.cos(angle) * self.scaling.gain, ops.sin(angle) * self.scaling.gain
        turned = ops.cast(x[..., :dim], "float32")
        first, second = turned[..., : dim // 2], turned[..., dim // 2 :]
        rotated = ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
        rotated = ops.cast(rotated, x.dtype)
        return rotated if dim == head_dim else ops.concatenate([rotated, x[..., dim:]], axis=-1)

    def compute_output_spec(self, x, start=0):
        return keras.KerasTensor(x.shape, dtype=x.dtype)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """No scaling: a pair turns as far at each position as it did in training.

    Attributes:
        gain: float, what turned queries and keys are multiplied by.
    """

    gain = 1.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (value is None and field.default is None) and not fits(value, field.type):
                what = "true or false" if field.type is bool else "a number above 0"
                raise ValueError(
                    f"A rotary scaling's {field.name} must be {what}; got {str(value)[:80]}."
                )

    def frequency(self, frequency, position, base):
        """Radians a position of each pair.

        Args:
            frequency: `(dim / 2,)`, those of training.
            position: float32 `(1 or batch, length, 1)`.
            base: float, of the frequencies.

        Returns:
            `(dim / 2,)` or `(1 or batch, length, dim / 2)`.
        """
        return frequency


@dataclasses.dataclass(frozen=True)
class Linear(Scaling):
    """All positions are divided by a factor.

    Chen et al., 2023, https://arxiv.org/abs/2306.15595
    """

    factor: float

    def frequency(self, frequency, position, base):
        return frequency / self.factor


@dataclasses.dataclass(frozen=True)
class Dynamic(Scaling):
    """The base grows with the position, beyond the length of training ("dynamic NTK").

    A token is turned by the base that a text ending with it asks for. So a token depends on none
    after it, and is the same from a cache. It is what transformers computes where prompts are not
    longer than in training; it turns all tokens of a longer prompt by the base of its whole length.

    Peng et al., 2023, appendix A.2, https://arxiv.org/abs/2309.00071
    """

    factor: float
    original_length: int

    def frequency(self, frequency, position, base):
        # base' = base * stretch^(dim / (dim - 2)), so pair i turns stretch^(2i / (dim - 2)) slower.
        beyond = ops.relu(position + 1 - self.original_length)
        stretch = 1 + beyond * (self.factor / self.original_length)
        pairs = frequency.shape[0]
        share = ops.arange(pairs, dtype="float32") / max(pairs - 1, 1)
        return frequency * ops.exp(-ops.log(stretch) * share)


@dataclasses.dataclass(frozen=True)
class Llama3(Scaling):
    """Waves that are long beside the length of training are slowed down, short ones are kept.

    Llama team, 2024, https://arxiv.org/abs/2407.21783

    Attributes:
        low, high: floats: waves that fit into the length of training less often than `low` times
            are slowed down by the factor, those that do more often than `high` times are kept.
    """

    factor: float
    low: float
    high: float
    original_length: int

    def __post_init__(self):
        super().__post_init__()
        if self.low >= self.high:
            raise ValueError(
                f"A rotary scaling's low must be below its high; got {self.low} and {self.high}."
            )

    def frequency(self, frequency, position, base):
        times = frequency * (self.original_length / (2 * math.pi))
        kept = clipped((times - self.low) / (self.high - self.low))
        return frequency * (kept + (1 - kept) / self.factor)


@dataclasses.dataclass(frozen=True)
class Yarn(Scaling):
    """As Llama 3's, with a ramp over the pairs, and sharper scores.

    Peng et al., 2023, https://arxiv.org/abs/2309.00071

    Attributes:
        fast, slow: floats: pairs that turn more often than `fast` times over the length of
            training are kept, those that do less often than `slow` are slowed down.
        attention_factor: float, the gain; None for the paper's.
        whole_pairs: bool, whether the ramp starts and ends at whole numbers of pairs.
    """

    factor: float
    original_length: int
    fast: float = 32.0
    slow: float = 1.0
    attention_factor: float = None
    whole_pairs: bool = True

    @property
    def gain(self):
        if self.attention_factor is not None:
            return self.attention_factor
        return 1.0 if self.factor <= 1 else 0.1 * math.log(self.factor) + 1

    def frequency(self, frequency, position, base):
        pairs = frequency.shape[0]
        first, last = (self.pair_that_turns(n, pairs, base) for n in (self.fast, self.slow))
        if self.whole_pairs:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, 2 * pairs - 1)
        width = last - first or 0.001
        slowed = clipped((ops.arange(pairs, dtype="float32") - first) / width)
        return frequency * ((1 - slowed) + slowed / self.factor)

    def pair_that_turns(self, times, pairs, base):
        """The pair, a float, that turns so many times over the length of training."""
        return pairs * math.log(self.original_length / (times * 2 * math.pi)) / math.log(base)


SCALINGS = {"linear": Linear, "dynamic": Dynamic, "llama3": Llama3, "yarn": Yarn}


def clipped(x):
    """`x` between 0 and 1; `ops.clip` would send both numbers to the GPU."""
    return 1 - ops.relu(1 - ops.relu(x))


def scaling_of(value):
    """A `Scaling` of what `RotaryEmbedding` was given; raises ValueError for what is none."""
    if value is None:
        return Scaling()
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in SCALINGS:
        raise ValueError(
            f"A rotary scaling must be a dict whose kind is one of {', '.join(SCALINGS)}; got "
            f"{str(value)[:80]}."
        )
    fields = {field.name: field for field in dataclasses.fields(SCALINGS[kind])}
    for name in [*fields, *value]:
        is_needed = name in fields and fields[name].default is dataclasses.MISSING
        if name != "kind" and (name not in fields or (is_needed and name not in value)):
            raise ValueError(
                f"A rotary scaling of kind {kind!r} has the fields {', '.join(fields)}; "
                f"{str(name)[:80]!r} is {'unknown' if name in value else 'missing'}."
            )
    return SCALINGS[kind](**{name: value[name] for name in fields if name in value})


def fits(value, kind):
    """Whether a value is a bool, or a positive number of a kind that is not too large."""
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    whole = isinstance(value, int)
    return (whole or (kind is float and isinstance(value, float))) and 0 < value <= MOST
