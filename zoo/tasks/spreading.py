"""What `fit` does where several processes or devices train one model."""

import hashlib
import json

import keras
import numpy as np
from keras import tree

from zoo.backends import backend
from zoo.backends.world import WORLD
from zoo.tasks.resuming import with_places

WRITERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


def spread(model, trained, held_out, epochs, steps):
    """Feeds of which each process reads its share, checked to be parts of the same.

    Raises:
        ValueError: the processes have other models, optimizers or data.
    """
    trained = with_places(trained, epochs.start, steps)
    held_out = with_places(held_out, 0, None) if held_out else held_out
    reading = trained["reading"]
    if hasattr(reading, "batches"):
        reading.batches.reseed(backend.tell_all(reading.batches.seed))
    backend.agree(model, facts_of(model, reading))
    return trained, held_out


def facts_of(model, reading):
    """What must be the same everywhere, as a text: the model, its optimizer and the first batch."""
    first = hashlib.sha256()
    for array in tree.flatten(next(iter(reading()))):
        if array is not None:
            first.update(np.ascontiguousarray(array).tobytes())
    config = {name: str(value) for name, value in model.optimizer.get_config().items()}
    config.pop("name", None)
    return json.dumps(
        {
            "first batch": first.hexdigest(),
            "weights": [[v.path, list(v.shape), str(v.dtype)] for v in model.weights],
            "optimizer": config,
            "data": {k: v for k, v in reading.state.items() if k != "seed"},
        }
    )


def of_rank(callbacks, verbose):
    """Callbacks and `verbose` of this process: the first alone writes and prints."""
    if WORLD.rank == 0:
        return callbacks, verbose
    is_list = isinstance(callbacks, keras.callbacks.CallbackList)
    if is_list:
        return callbacks, 0
    kept = [one for one in tree.flatten(callbacks or []) if not isinstance(one, WRITERS)]
    return kept, 0
