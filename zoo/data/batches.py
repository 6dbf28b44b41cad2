"""Batches that are planned anew for each epoch, and rows put together by their length."""

import dataclasses
import random

import keras
import numpy as np

from zoo.backends import backend
from zoo.backends.buckets import LENGTHS, bucket

POOL = 50  # batches' worth of rows that are sorted by length together


class Batches(keras.utils.PyDataset):
    """Batches of an epoch, in a plan that is drawn for each epoch from `[seed, epoch]`.

    A subclass says in `plan` what the batches of an epoch are and in `make` what one of them
    holds. The first epoch sets how many there are. A task's `fit` names the epoch it reads, also
    when it resumes at a later one; for other models the next begins when one was read to its end.

    Args:
        seed: int; None draws one that `keras.utils.set_random_seed` decides.
        is_fixed: bool, whether every epoch is the first again, as for evaluation.
    """

    def __init__(self, seed=None, is_fixed=False):
        super().__init__()
        self.seed = random.randrange(2**32) if seed is None else seed
        self.is_fixed = is_fixed
        self.epoch = 0
        self._planned = None, None  # an epoch and its plan
        self._is_read = False
        self._count = len(self._plan_of(0))

    def plan(self, rng):
        """A list with something for each batch that `make` understands."""
        raise NotImplementedError

    def make(self, planned):
        """One batch, a tuple of inputs and, for training, labels and weights."""
        raise NotImplementedError

    def _plan_of(self, epoch):
        epoch = 0 if self.is_fixed else epoch
        if self._planned[0] != epoch:
            self._planned = epoch, self.plan(np.random.default_rng([self.seed, epoch]))
        return self._planned[1]

    def in_epoch(self, epoch, index):
        """The batch at a place of an epoch."""
        plan = self._plan_of(epoch)
        return self.make(plan[index % len(plan)])

    def at_step(self, step):
        """The batch of a step of a run that reads epoch after epoch, as when resuming it."""
        return self.in_epoch(*divmod(step, len(self)))

    def set_epoch(self, epoch):
        """Go on with the epoch of this number."""
        self.epoch, self._is_read = epoch, False

    def reseed(self, seed):
        """Plan every epoch anew from another seed, as when a run goes on that had drawn it."""
        self.seed, self._planned = seed, (None, None)

    def on_epoch_end(self):
        # Keras also calls this before its first epoch, after a look at the first batch.
        if self._is_read:
            self.set_epoch(self.epoch + 1)

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        self._is_read = self._is_read or index == len(self) - 1
        return self.in_epoch(self.epoch, index)


def drawn_batches(num_rows, batch_size, rng, shuffle=True):
    """All rows as batches, in random order or as they stand, each with a seed for what is drawn."""
    order = rng.permutation(num_rows) if shuffle else np.arange(num_rows)
    rows = [order[i : i + batch_size] for i in range(0, num_rows, batch_size)]
    return list(zip(rows, rng.integers(2**32, size=len(rows)), strict=True))


class Splits:
    """Rows of which the last may be held out. A subclass says how many there are, and takes some.

    A subclass has `__len__` and `part(rows)`, with a slice.
    """

    def split(self, fraction):
        """The first rows, and the last `fraction` of them.

        Raises:
            ValueError: if one of the two would be empty.
        """
        is_share = isinstance(fraction, (int, float)) and 0 <= fraction <= 1
        cut = round(len(self) * (1 - fraction)) if is_share else 0
        if not 0 < cut < len(self):
            raise ValueError(
                "validation_split must be a share that leaves rows on both sides; got "
                f"{fraction} of {len(self)} rows."
            )
        return self.part(slice(None, cut)), self.part(slice(cut, None))


@dataclasses.dataclass
class Examples(Splits):
    """Rows that are not padded yet.

    Attributes:
        inputs: `{name: list of 1-d arrays}`, an item for each row, all of a row equally long.
        labels: an array with an item for each row, or a list of 1-d arrays as long as the rows.
        weights: the same, float32; None where all are 1.
    """

    inputs: dict
    labels: object = None
    weights: object = None

    def __len__(self):
        return len(self.inputs["token_ids"])

    @property
    def lengths(self):
        return np.array([len(ids) for ids in self.inputs["token_ids"]], "int64")

    def part(self, rows):
        """Some rows, by a slice."""
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        rest = (self.labels, self.weights)
        return Examples(inputs, *(None if one is None else one[rows] for one in rest))

    def model_inputs(self, rows, max_length):
        """The inputs of some rows, padded to one of few lengths."""
        longest = max(len(self.inputs["token_ids"][row]) for row in rows)
        return self.batch(rows, bucket(longest, LENGTHS, max(max_length, longest)))[0]

    def batch(self, rows, length):
        """`(inputs, labels, weights)` of some rows, padded to `length`, without what is None."""
        lengths = np.array([len(self.inputs["token_ids"][row]) for row in rows])
        inputs = {name: _take(values, rows, length) for name, values in self.inputs.items()}
        inputs["padding_mask"] = np.arange(length) < lengths[:, None]
        rest = (self.labels, self.weights)
        return (inputs, *(_take(one, rows, length) for one in rest if one is not None))


@dataclasses.dataclass
class FullRows(Splits):
    """Rows of equal length: arrays with an item for each, such as `token_ids`, `labels`, `weights`.

    Attributes:
        arrays: `{name: array or None}`.
    """

    arrays: dict

    def __len__(self):
        return len(self.arrays["token_ids"])

    def __getitem__(self, name):
        return self.arrays[name]

    def part(self, rows):
        """Some rows, by a slice or an array of places."""
        taken = {name: None if a is None else a[rows] for name, a in self.arrays.items()}
        return FullRows(taken)


class RowBatches(Batches):
    """Batches of rows of equal length with labels, in an order that is drawn for each epoch.

    Args:
        rows: `FullRows` of `token_ids`, `labels` and `weights`.
        batch_size: int.
        shuffle: bool.
        seed: int or None.
    """

    def __init__(self, rows, batch_size, shuffle=True, seed=None, is_fixed=False):
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        order = rng.permutation(len(self.rows)) if self.shuffle else np.arange(len(self.rows))
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def make(self, planned):
        part = self.rows.part(planned)
        weights = part["weights"]
        batch = part["token_ids"], part["labels"]
        return batch if weights is None else (*batch, weights)


class LengthBuckets(Batches):
    """Batches of rows of similar length, so that short texts do not pay for long ones.

    In training, rows are shuffled, sorted by length within pools of many batches, and the
    batches' order is shuffled again; otherwise they are sorted once.

    Args:
        examples: `Examples`.
        batch_size: int.
        shuffle: bool.
        max_length: int, which no row is padded beyond.
        seed: int or None.
        lengths: int array, what the rows are sorted by; None for their lengths.
    """

    def __init__(self, examples, batch_size, shuffle, max_length, seed=None, lengths=None):
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_length = max_length
        self.lengths = examples.lengths if lengths is None else lengths
        super().__init__(seed)

    def plan(self, rng):
        if not self.shuffle:
            return self._batches(np.argsort(self.lengths, kind="stable"))
        order, pool = rng.permutation(len(self.lengths)), POOL * self.batch_size
        batches = []
        for i in range(0, len(order), pool):
            rows = order[i : i + pool]
            batches += self._batches(rows[np.argsort(self.lengths[rows], kind="stable")])
        return [batches[i] for i in rng.permutation(len(batches))]

    def _batches(self, rows):
        return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]

    def make(self, planned):
        length = padded_length(int(self.lengths[planned].max()), self.max_length)
        return self.examples.batch(planned, length)


def padded_length(longest, max_length):
    """The length of a batch in training: one of few where each is compiled for itself."""
    if not backend.COMPILES_EACH_SHAPE:
        return longest
    length = 16
    while length < longest:
        # 16, 24, 32, 48, 64, 96 ...
        length = length * 3 // 2 if length & (length - 1) == 0 else length * 4 // 3
    return max(min(length, max_length), longest)


def _take(values, rows, length):
    """Those rows of an array, or of a list of arrays, padded with zeros."""
    if isinstance(values, np.ndarray):
        return values[rows]
    padded = np.zeros((len(rows), length), values[rows[0]].dtype)
    for place, row in enumerate(rows):
        padded[place, : len(values[row])] = values[row]
    return padded
