"""Sizes that are rounded up, so that few shapes are compiled."""

import numpy as np

MOST_SHAPES = 32  # that stay compiled of one function; the least recently used are let go
LENGTHS = 16  # lengths are padded to this times a power of two


def bucket(size, unit, most):
    """The smallest `unit * 2^n` that holds `size`, and no more than `most`."""
    return bucket_sizes(size, unit, most)[-1]


def bucket_sizes(size, unit, most):
    """All sizes `unit * 2^n` up to the first that holds `size`, and none above `most`."""
    sizes = [min(unit, most)]
    while sizes[-1] < min(size, most):
        sizes.append(min(2 * sizes[-1], most))
    return sizes


def pad_rows(array, num_rows):
    """An array whose last row is repeated until there are `num_rows`."""
    return array.take([min(i, len(array) - 1) for i in range(num_rows)], axis=0)


def pad_to_buckets(array, most_rows, most_columns):
    """An array `(rows, columns)` with its last row repeated, and zeros at the ends of rows."""
    num_rows, num_columns = array.shape
    more = bucket(num_columns, LENGTHS, most_columns) - num_columns
    return np.pad(pad_rows(array, bucket(num_rows, 1, most_rows)), ((0, 0), (0, more)))
