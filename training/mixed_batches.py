"""Batches with rows of several tasks, so many of each as its share says."""

import keras
import numpy as np

from zoo.backends import backend
from zoo.data.batches import Batches


class MixedBatches(Batches):
    """Batches with rows of every task.

    Args:
        tasks: `{name: task}`.
        examples: `{name: what the task's read_examples gave}`.
        shares: `{name: float}`, which add up to 1.
        batch_size: int, rows of all tasks together.
        seed: int or None.
    """

    def __init__(self, tasks, examples, shares, batch_size, seed=None):
        self.shares = np.array([shares[name] for name in tasks], "float32")
        self.rows = rows_of(list(shares.values()), batch_size)
        drawn = np.random.SeedSequence(seed).generate_state(len(tasks)).tolist()
        self.parts = {
            name: task.make_batches(examples[name], count, True, own_seed)
            for (name, task), count, own_seed in zip(tasks.items(), self.rows, drawn, strict=True)
        }
        total = sum(len(one) for one in examples.values())
        self.num_steps = -(-total // batch_size)
        super().__init__(seed)

    def plan(self, rng):
        return list(range(self.num_steps))

    def in_epoch(self, epoch, index):
        """The batch at a place of an epoch; each task goes on where it was."""
        step = epoch * len(self) + index
        parts = {}
        for name, batches in self.parts.items():
            batch = batches.at_step(step)
            parts[name] = (*batch, None, None)[:3]
        even_lengths(parts)
        x = {name: inputs for name, (inputs, _, _) in parts.items()}
        y = {name: labels for name, (_, labels, _) in parts.items()}
        weights = {name: weight for name, (*_, weight) in parts.items() if weight is not None}
        x["shares"] = self.shares
        return (x, y, weights) if weights else (x, y)


def even_lengths(parts):
    """Pad all tasks' rows to one length where each set of lengths is compiled for itself."""
    if not backend.COMPILES_EACH_SHAPE:
        return
    lengths = {name: token_ids_of(x).shape[1] for name, (x, _, _) in parts.items()}
    longest = max(lengths.values())
    for name, batch in parts.items():
        parts[name] = keras.tree.map_structure(
            lambda a, length=lengths[name]: lengthened(a, length, longest), batch
        )


def lengthened(array, length, longest):
    """An array of tokens, which has their number as its second size, with zeros behind."""
    if array is None or array.ndim < 2 or array.shape[1] != length:
        return array
    padding = [(0, 0), (0, longest - length), *[(0, 0)] * (array.ndim - 2)]
    return np.pad(array, padding)


def token_ids_of(inputs):
    return inputs["token_ids"] if isinstance(inputs, dict) else inputs


def shares_of(sizes, temperature):
    """`{name: n^(1 / temperature) over their sum}`."""
    raised = {name: size ** (1 / temperature) for name, size in sizes.items()}
    return {name: one / sum(raised.values()) for name, one in raised.items()}


def rows_of(shares, batch_size):
    """Whole numbers that add up to `batch_size`, each at least 1, as near to the shares as can be.

    Raises:
        ValueError: a batch with less room than there are tasks.
    """
    if batch_size < len(shares):
        raise ValueError(
            f"A batch has rows of every task, so batch_size must be at least {len(shares)}; got "
            f"{batch_size}."
        )
    rows = [max(1, int(share * batch_size)) for share in shares]
    while sum(rows) != batch_size:
        step = 1 if sum(rows) < batch_size else -1
        lacks = [step * (share * batch_size - row) for share, row in zip(shares, rows, strict=True)]
        open_places = [i for i, row in enumerate(rows) if step > 0 or row > 1]
        rows[max(open_places, key=lacks.__getitem__)] += step
    return rows
