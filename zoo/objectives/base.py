"""What objectives must be given: arguments within their ranges, token ids, a generator."""

import inspect
from types import MappingProxyType

import numpy as np

from zoo.checks import shown
from zoo.ranges import SIZE, check_declared


class Objective:
    """An objective: a callable with arguments that are checked before anything is made.

    Attributes:
        arguments: `{name: what it may be}` of the constructor's, by `zoo.ranges`.
    """

    arguments = MappingProxyType({})

    def __new__(cls, *args, **kwargs):
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)
        bound.apply_defaults()
        check_declared(cls, bound.arguments)
        return super().__new__(cls)


def as_ids(rows, noun="document"):
    """A list with an int32 array of the token ids of each row; an empty row has none.

    Raises:
        TypeError: if the rows are not several.
        ValueError: if a row is no sequence of token ids.
    """
    if isinstance(rows, (str, bytes, dict)) or not hasattr(rows, "__iter__"):
        raise TypeError(f"{noun}s must be several sequences of token ids; got {shown(rows)}.")
    return [checked_ids(row, number, noun) for number, row in enumerate(rows)]


def several(documents):
    """Documents, each of them sentences; raises TypeError for what is not several things."""
    if isinstance(documents, (str, bytes, dict)) or not hasattr(documents, "__iter__"):
        raise TypeError(
            f"documents must be several, each a sequence of sentences; got {shown(documents)}."
        )
    return documents


def checked_ids(row, number, noun):
    """One row of `as_ids`, the `number`th."""
    ids = np.asarray(row) if isinstance(row, (list, tuple, np.ndarray, range)) else None
    if ids is None or ids.ndim != 1 or (len(ids) and ids.dtype.kind not in "iu"):
        raise ValueError(
            f"Each {noun} must be a sequence of token ids, whole numbers; got {shown(row)} for "
            f"number {number}."
        )
    if len(ids) and (ids.min() < 0 or ids.max() >= 2**31):
        raise ValueError(
            f"Token ids must be from 0 to 2**31 - 1; got {shown(row)} for {noun} number {number}."
        )
    return ids.astype("int32")


def as_weights(weights, count):
    """float32 `(count,)`, of finite numbers from 0 on; raises ValueError for anything else."""
    found = np.asarray(weights)
    is_sound = found.shape == (count,) and found.dtype.kind in "iufb"
    if not (is_sound and np.isfinite(found).all() and (found >= 0).all()):
        raise ValueError(
            f"weights must be a finite number from 0 on for each of the {count} documents; got "
            f"{shown(weights)}."
        )
    return found.astype("float32")


def check_sizes(batch_size, length):
    """Raise ValueError for rows of no tokens, or batches of no rows."""
    if not (SIZE.fits(batch_size) and SIZE.fits(length)):
        raise ValueError(
            "batch_size, rows that are read side by side, and length, the tokens of a row, must "
            f"be whole numbers of at least 1; got {batch_size!r} and {length!r}."
        )


def check_generator(rng):
    """Raise TypeError for what draws no random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a np.random.Generator, as default_rng(0) is; got {shown(rng)}."
        )
