"""Batches that are planned anew for each epoch, and rows put together by their length."""

import dataclasses
import random

import keras
import numpy as np

from zoo.backends import backend

POOL = 50  # batches' worth of rows that are sorted by length together


class Batches(keras.utils.PyDataset):
    """Batches of an epoch, in a plan that is drawn for each epoch from `[seed, epoch]`.

    A subclass says in `plan` what the batches of an epoch are and in `make` what one of them
    holds. The first epoch sets how many there are.

    Args:
        seed: int; None draws one that `keras.utils.set_random_seed` decides.
        is_fixed: bool, whether every epoch is the first again, as for evaluation.
    """

    def __init__(self, seed=None, is_fixed=False):
        super().__init__()
        self.seed = random.randrange(2**32) if seed is None else seed
        self.is_fixed = is_fixed
        self.set_epoch(0)
        self._count = len(self._plan)

    def plan(self, rng):
        """A list with something for each batch that `make` understands."""
        raise NotImplementedError

    def make(self, planned):
        """One batch, a tuple of inputs and, for training, labels and weights."""
        raise NotImplementedError

    def set_epoch(self, epoch):
        """Plan the epoch of this number."""
        self.epoch, self._is_read = 0 if self.is_fixed else epoch, False
        self._plan = self.plan(np.random.default_rng([self.seed, self.epoch]))

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        # Keras looks at the first batch before it starts: only a full reading ends an epoch.
        if index == 0 and self._is_read:
            self.set_epoch(self.epoch + 1)
        self._is_read = self._is_read or index == len(self) - 1
        return self.make(self._plan[index % len(self._plan)])

    def at_step(self, step):
        """The batch of a step of a run that reads epoch after epoch, as when resuming it."""
        epoch, position = divmod(step, len(self))
        if epoch != self.epoch:
            self.set_epoch(epoch)
        return self.make(self._plan[position % len(self._plan)])

    def for_keras(self):
        """What `keras.Model.fit` and `evaluate` take; pass `shuffle=False` beside it."""
        return backend.adapt_batches(self)


def drawn_batches(num_rows, batch_size, rng):
    """All rows in random order as batches, each with a seed for what is drawn within it."""
    order = rng.permutation(num_rows)
    rows = [order[i : i + batch_size] for i in range(0, num_rows, batch_size)]
    return list(zip(rows, rng.integers(2**32, size=len(rows)), strict=True))


@dataclasses.dataclass
class Examples:
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

    def split(self, fraction):
        """The first rows, and the last `fraction` of them."""
        cut = round(len(self) * (1 - fraction))
        if not 0 < cut < len(self):
            raise ValueError(
                "validation_split must leave rows on both sides; got "
                f"{fraction} of {len(self)} rows."
            )
        return self._part(slice(None, cut)), self._part(slice(cut, None))

    def _part(self, rows):
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        return Examples(
            inputs,
            None if self.labels is None else self.labels[rows],
            None if self.weights is None else self.weights[rows],
        )

    def batch(self, rows, length):
        """`(inputs, labels, weights)` of some rows, padded to `length`, without what is None."""
        lengths = np.array([len(self.inputs["token_ids"][row]) for row in rows])
        inputs = {name: _take(values, rows, length) for name, values in self.inputs.items()}
        inputs["padding_mask"] = np.arange(length) < lengths[:, None]
        rest = (self.labels, self.weights)
        return (inputs, *(_take(one, rows, length) for one in rest if one is not None))


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
    """

    def __init__(self, examples, batch_size, shuffle, max_length, seed=None):
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_length = max_length
        self.lengths = examples.lengths
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
    """The length of a batch: one of few where each is compiled for itself."""
    if not backend.COMPILES_EACH_SHAPE:
        return longest
    length = 16
    while length < longest:
        # 16, 24, 32, 48, 64, 96 ...
        length = length * 3 // 2 if length & (length - 1) == 0 else length * 4 // 3
    return min(length, max_length)


def _take(values, rows, length):
    """Those rows of an array, or of a list of arrays, padded with zeros."""
    if isinstance(values, np.ndarray):
        return values[rows]
    padded = np.zeros((len(rows), length), values[rows[0]].dtype)
    for place, row in enumerate(rows):
        padded[place, : len(values[row])] = values[row]
    return padded
