"""Batches of ours as `keras.Model.fit` and `evaluate` read them, of any shapes and any number."""

import functools
import itertools

from keras.src.trainers.data_adapters import data_adapter_utils
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from zoo.backends.world import share


class BatchesAdapter(DataAdapter):
    """What Keras asks of data, by a function that starts a pass over the batches.

    Keras looks at the first batches, and then starts anew. What can be read only once must not
    lose them: they are kept until training starts, which Keras tells by `on_epoch_end`.

    Args:
        read: a function without arguments that gives an iterator of tuples of NumPy arrays.
        num_batches: int, how many a pass has; None if that is not known.
        is_one_shot: bool, whether `read` goes on with the same iterator each time.
        first_step: int, the step of the first epoch that `read` starts with, in a run that goes on
            in the middle of it.
    """

    def __init__(self, read, num_batches=None, is_one_shot=False, first_step=0):
        self._read = read
        self.first_step = first_step
        self._num_batches = num_batches
        self._is_one_shot = is_one_shot
        self._looked_at = []
        self._has_started = False

    def batches(self):
        """A pass over this process's share of the batches."""
        return map(share, self._batches())

    def _batches(self):
        if self._has_started:
            while self._looked_at:
                yield self._looked_at.pop(0)
            yield from self._read()
            return
        yield from list(self._looked_at)
        for batch in self._read():
            if self._is_one_shot:
                self._looked_at.append(batch)
            yield batch

    def on_epoch_end(self):
        self._has_started = True

    def get_numpy_iterator(self):
        return self.batches()

    def get_jax_iterator(self):
        return data_adapter_utils.get_jax_iterator(self.batches())

    def get_torch_dataloader(self):
        return data_adapter_utils.get_torch_dataloader(self.batches())

    @property
    def num_batches(self):
        return self._num_batches

    @property
    def batch_size(self):
        return None


def adapt_batches(read, num_batches=None, is_one_shot=False, first_step=0):
    """What `keras.Model.fit` takes for `x`, with `shuffle=False`; see `BatchesAdapter`."""
    return BatchesAdapter(read, num_batches, is_one_shot, first_step)


def begin_later(iterator):
    """Let the first epoch of Keras' iterator begin at the step that its data begins at."""
    first = getattr(iterator.data_adapter, "first_step", 0)
    if first:
        iterator._enumerate_iterator = functools.partial(_rest_of_epoch, iterator, first)


def _rest_of_epoch(iterator, first):
    # As Keras' `_enumerate_iterator`, from a later step on; the next epoch is Keras' own again.
    del iterator._enumerate_iterator
    iterator.data_adapter.on_epoch_begin()
    batches = iterator._current_iterator = iter(iterator._get_iterator())
    iterator._steps_seen = first
    size, total = iterator.steps_per_execution, iterator.steps_per_epoch or iterator._num_batches
    for step in itertools.count(first, size) if total is None else range(first, total, size):
        iterator._steps_seen = step + size
        yield step, step + size - 1, batches
    if iterator._num_batches:  # PyTorch's loader draws a random number for each
        iterator._current_iterator = iter(iterator._get_iterator())
        iterator._steps_seen = 0
    iterator.data_adapter.on_epoch_end()


def stop_tuning(iterator):
    """Nothing: no other thread tunes the data."""


def first_batch(iterator):
    """The first batch of a `fit` or `evaluate` that is about to begin.

    Args:
        iterator: Keras' epoch iterator, which starts anew afterwards.
    """
    for _, _, found in iterator:
        return found[0] if isinstance(found, (list, tuple)) else next(found)
