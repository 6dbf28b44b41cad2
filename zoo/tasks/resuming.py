"""What `fit` does for a callback that lets a run go on where an earlier process was stopped."""

import keras
import numpy as np
from keras import tree

from zoo.data.batches import Batches
from zoo.data.sources import holds_ids, is_a, open_stream
from zoo.data.streams import IdStream, grouped
from zoo.tasks.epochs import Planned, Streamed


class Resumes(keras.callbacks.Callback):
    """A callback that keeps where a run is, and puts a later one there; the last of all to be told.

    `zoo.training.Checkpoint` is one. A subclass says what it has found in `find`.

    Attributes:
        beside: a list of the other callbacks that were passed to `fit`.
    """

    beside = ()

    def find(self, model, reading):
        """Restore a model and tell the place where its run stopped.

        Args:
            model: a task, about to be trained.
            reading: `Planned` or `Streamed`, whose `state` is kept with each place.

        Returns:
            `{"epoch": int, "batch": int, "data": dict, "is_over": bool}`; None for a new run.
        """
        raise NotImplementedError


def keeper_of(callbacks):
    """The `Resumes` among a user's callbacks, moved behind the others; and these callbacks."""
    is_list = isinstance(callbacks, keras.callbacks.CallbackList)
    found = callbacks.callbacks if is_list else tree.flatten(callbacks or [])
    keepers = [one for one in found if isinstance(one, Resumes)]
    if not keepers:
        return None, callbacks
    if len(keepers) > 1:
        raise ValueError(f"One callback keeps a run; got {len(keepers)} of them. Pass one.")
    keepers[0].beside = [one for one in found if one not in keepers]
    ordered = [*keepers[0].beside, *keepers]
    if is_list:
        callbacks.callbacks[:] = ordered
    return keepers[0], callbacks if is_list else ordered


def resumed(keeper, model, feed, epochs, steps):
    """Arguments for Keras' `fit` that read from the place where a run stopped, and its epoch.

    Args:
        feed: what `Reads.feed` gives.
        epochs: a range, those asked for.
        steps: int, batches of an epoch where they are counted; else None.
    """
    feed = with_places(feed, epochs.start, steps)
    reading = feed["reading"]
    place = keeper.find(model, reading)
    if place is None:
        return feed, epochs.start
    if place["is_over"] or place["epoch"] >= epochs.stop:
        return feed, epochs.stop
    reading.go_on(place["epoch"], place["batch"], place["data"])
    if place["batch"]:
        model.build_metrics(next(iter(reading())))
    return feed | {"x": reading.for_keras()}, place["epoch"]


def check_places(x):
    """Raise ValueError for data in which a killed run would not find its place again."""
    stream = None if isinstance(x, Batches) or holds_ids(x) else open_stream(x)
    if stream is None or stream.get is not None or is_a(x, "grain", "IterDataset", "DataLoader"):
        return
    raise ValueError(
        f"A run that is kept must find its place in the data again, and a {stream.name} does not "
        "say where it is: after a kill other batches would come. Pass texts, arrays, a token file, "
        "a keras.utils.PyDataset or a Grain loader, or leave the Checkpoint out."
    )


def with_places(feed, first_epoch, steps):
    """A feed whose `reading` can begin anywhere."""
    if "reading" in feed:
        return feed
    x, shuffle = feed["x"], bool(feed.get("shuffle"))
    if feed.get("class_weight") is not None:
        raise ValueError(
            "class_weight beside a dataset does not go with a run that is kept; let the dataset "
            "give (x, y, sample_weight)."
        )
    if holds_ids(x):
        arrays = (x, feed.get("y"), feed.get("sample_weight"))
        batches = ArrayBatches(arrays, feed["batch_size"], shuffle)
        return of_plan(batches, first_epoch, steps)
    stream = open_stream(x)
    if stream.get is not None and stream.length is not None:
        return of_plan(PlacedBatches(stream, shuffle), first_epoch, steps)
    reading = Streamed(IdStream(stream, 1), stream.length, False, steps is not None, steps)
    return {"x": reading.for_keras(), "shuffle": False, "reading": reading}


def of_plan(batches, first_epoch, steps):
    reading = Planned(batches, first_epoch, steps)
    return {"x": reading.for_keras(), "shuffle": False, "reading": reading}


class ArrayBatches(Batches):
    """Batches of arrays in memory, in an order that is drawn for each epoch.

    Args:
        arrays: `(inputs, labels, weights)`, each an array, a dict of arrays or None.
        batch_size: int.
        shuffle: bool.
    """

    def __init__(self, arrays, batch_size, shuffle):
        self.arrays = tree.map_structure(lambda a: None if a is None else np.asarray(a), arrays)
        self.batch_size = batch_size
        self.shuffle = shuffle
        super().__init__()

    def plan(self, rng):
        count = len(next(a for a in tree.flatten(self.arrays) if a is not None))
        order = rng.permutation(count) if self.shuffle else np.arange(count)
        return list(grouped(order, self.batch_size))

    def make(self, planned):
        x, y, weights = tree.map_structure(lambda a: None if a is None else a[planned], self.arrays)
        return (x, y) if weights is None else (x, y, weights)


class PlacedBatches(Batches):
    """The batches of token ids of a dataset with places, in an order drawn for each epoch.

    A `PyDataset` is told of the end of each epoch, also of those that an earlier process had read.

    Args:
        stream: a `zoo.data.sources.Stream` with `get` and `length`.
        shuffle: bool.
    """

    def __init__(self, stream, shuffle):
        self.stream = stream
        self.shuffle = shuffle
        self.parts = IdStream(stream, 1)
        self._num_told = 0
        super().__init__()

    def plan(self, rng):
        length = self.stream.length
        return list(rng.permutation(length) if self.shuffle else np.arange(length))

    def in_epoch(self, epoch, index):
        while self.stream.is_sequence and self._num_told < epoch:
            self.stream.source.on_epoch_end()
            self._num_told += 1
        return super().in_epoch(epoch, index)

    def make(self, planned):
        return self.parts.parts_of(self.stream.get(int(planned)))
