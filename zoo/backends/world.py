"""The processes and devices that train one model together, and each one's share of a batch."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass
class World:
    """Who trains together.

    Attributes:
        rank: int, the number of this process.
        size: int, how many processes there are.
        shards: int, in how many equal parts the rows of a batch go.
        is_distributed: bool, whether `distribute` was called.
        layout: str, how weights lie: `"data"` for whole ones in each process.
    """

    rank: int = 0
    size: int = 1
    shards: int = 1
    is_distributed: bool = False
    layout: str = "data"


WORLD = World()  # set once, before the model is made


def share(batch):
    """This process's rows of a batch, which is filled up to a number that all can share.

    Rows that fill it up are copies of the last with weight 0, so that no loss counts them.

    Args:
        batch: `(inputs, labels, weights)`, arrays or dicts of arrays, without what is None.

    Raises:
        ValueError: a batch without labels whose rows do not divide.
    """
    if WORLD.shards == 1:
        return batch
    count = len(next(a for a in keras.tree.flatten(batch) if a is not None))
    missing = -count % WORLD.shards
    if len(batch) == 1:
        if missing:
            raise ValueError(
                f"A batch of {count} rows must divide by the {WORLD.shards} parts that it is read "
                "in, since rows without labels cannot be filled up. Choose another batch_size."
            )
    else:
        batch = (*batch, None)[:3]
        if batch[2] is None:
            batch = (*batch[:2], keras.tree.map_structure(row_weights, batch[1]))
        batch = tuple(filled(part, missing, is_weight=i == 2) for i, part in enumerate(batch))
    if WORLD.size == 1:
        return batch
    own = (count + missing) // WORLD.size
    rows = slice(WORLD.rank * own, (WORLD.rank + 1) * own)
    return keras.tree.map_structure(lambda a: a[rows], batch)


def row_weights(labels):
    return np.ones(len(labels), "float32")


def filled(part, missing, is_weight):
    def fill(array):
        array = np.asarray(array)
        more = np.zeros((missing, *array.shape[1:]), array.dtype) if is_weight else None
        return np.concatenate([array, np.repeat(array[-1:], missing, 0) if more is None else more])

    return keras.tree.map_structure(fill, part) if missing else part
