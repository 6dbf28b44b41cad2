"""Rows of different lengths as one array."""

from collections.abc import Sequence

import numpy as np

from zoo.objectives.base import as_ids


def pad(rows: Sequence) -> tuple:
    """Align rows of token ids on the left, zeros after their ends.

    Returns:
        `(token_ids, padding_mask)`: int32 and bool `(rows, longest)`, the mask True for tokens.
    """
    rows = as_ids(rows, "row")
    lengths = np.array([len(row) for row in rows], "int32")
    padding_mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
    token_ids = np.zeros(padding_mask.shape, "int32")
    token_ids[padding_mask] = np.concatenate([np.zeros(0, "int32"), *rows])
    return token_ids, padding_mask
