"""Rows of different lengths as one array."""

import numpy as np


def pad(rows):
    """Align rows of token ids on the left, zeros after their ends.

    Returns:
        `(token_ids, padding_mask)`: int32 and bool `(rows, longest)`, the mask True for tokens.
    """
    lengths = np.array([len(row) for row in rows], "int32")
    padding_mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
    token_ids = np.zeros(padding_mask.shape, "int32")
    token_ids[padding_mask] = [token for row in rows for token in row]
    return token_ids, padding_mask
