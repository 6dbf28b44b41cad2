"""Rows of text as a student's tokens and its teacher's, aligned once and for all, in one file.

What `zoo.training.distillation.alignment` does for each batch takes longer than a step on a GPU;
here it is done before. Masks are drawn anew in every epoch.
"""

import dataclasses

import numpy as np
from zoo.training.distillation.alignment import padded

from zoo.data.batches import Batches, Examples, LengthBuckets, padded_length
from zoo.files import replacing

NAMES = ("ids", "units", "taught_ids", "taught_units")


@dataclasses.dataclass
class AlignedRows:
    """Rows of text.

    Attributes:
        ids, units: lists of 1-d arrays: the student's tokens, `[CLS]` and `[SEP]` among them, and
            the number of each token's piece of text.
        taught_ids, taught_units: the same of the teacher.
    """

    ids: list
    units: list
    taught_ids: list
    taught_units: list

    def __len__(self):
        return len(self.ids)

    @classmethod
    def of(cls, rows, align):
        """Rows of the student's ids, aligned by an `Aligner`; pieces that do not fit are cut."""
        found = [[], [], [], []]
        for ids in rows:
            units, taught, taught_units = align.row(np.asarray(ids))
            room = align.max_length
            for column, values in zip(
                found, (ids, units, taught[:room], taught_units[:room]), strict=True
            ):
                column.append(np.array(values, "uint16"))
        return cls(*found)

    def save(self, path):
        """Write one compressed `.npz` file."""
        arrays = {}
        for name in NAMES:
            column = getattr(self, name)
            arrays[name] = np.concatenate(column)
            arrays[f"{name}_lengths"] = np.array([len(row) for row in column], "uint16")
        with replacing(path) as scratch, open(scratch, "wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path):
        """The rows of such a file."""
        with np.load(path) as arrays:
            lengths = [arrays[f"{name}_lengths"].astype("int64") for name in NAMES]
            ends = [np.cumsum(one)[:-1] for one in lengths]
            return cls(*(np.split(arrays[n], e) for n, e in zip(NAMES, ends, strict=True)))


class MaskedAlignedBatches(Batches):
    """Batches of such rows for a `Distiller` of a `zoo.MaskedLM`, rows of similar length together.

    Args:
        rows: `AlignedRows`.
        objective: a `zoo.objectives.MaskTokens` of the student's.
        batch_size: int.
        clean: float from 0 to 1, the chance of a row to be read without masks, so that whole
            texts are met as they are.
        seed: int or None.
        is_fixed: bool, whether order and masks are always the same.
    """

    is_aligned = True

    def __init__(self, rows, objective, batch_size, clean=0.0, seed=None, is_fixed=False):
        self.rows = rows
        self.objective = objective
        self.clean = clean
        most = int(max(len(ids) for ids in rows.ids))
        examples = Examples({"token_ids": rows.ids})
        self.buckets = LengthBuckets(examples, batch_size, True, most, seed=0)
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        batches = self.buckets.plan(rng)
        return list(zip(batches, rng.integers(2**32, size=len(batches)), strict=True))

    def make(self, planned):
        places, seed = planned
        rng = np.random.default_rng(seed)
        rows = self.rows
        lengths = np.array([len(rows.ids[place]) for place in places])
        taught_lengths = np.array([len(rows.taught_ids[place]) for place in places])
        longest = int(max(lengths.max(), taught_lengths.max()))
        length = padded_length(longest, longest)
        token_ids = self._padded("ids", places, length)
        mask = np.arange(length) < lengths[:, None]
        masked, positions, labels, weight = self.objective(token_ids, mask, rng)
        is_clean = rng.random(len(places)) < self.clean
        masked[is_clean] = token_ids[is_clean]
        weight[is_clean] = 0
        student = {"token_ids": masked, "padding_mask": mask, "masked_positions": positions}
        taught = {
            "token_ids": self._padded("taught_ids", places, length),
            "padding_mask": np.arange(length) < taught_lengths[:, None],
            "units": self._padded("taught_units", places, length),
        }
        units = self._padded("units", places, length)
        return {"student": student, "units": units, "teacher": taught}, labels, weight

    def _padded(self, name, places, length):
        column = getattr(self.rows, name)
        return padded([column[place] for place in places], length)
