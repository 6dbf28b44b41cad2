"""Weights files of Keras 1 and 2, HDF5, as NumPy arrays: no layer or configuration is made of them.

lstm_1/lstm_1/kernel:0     a dataset: the layer, and the weight's name within it
"""

import io

import h5py
import numpy as np

from zoo.tensors.checks import damaged

MAX_DEPTH = 16  # groups within groups
MAX_ITEMS = 4_000

# What h5py raises where a file is damaged; it takes care of nothing itself.
HDF5_ERRORS = (
    *(OSError, RuntimeError, LookupError, OverflowError, TypeError, ValueError),
    *(AttributeError, NotImplementedError),
)


def read_arrays(data, source):
    """The weights of a file that `model.save_weights` wrote.

    Args:
        data: bytes, the contents of the file.
        source: what to call it in errors.

    Returns:
        `{path in the file: array}`.

    Raises:
        ValueError: damaged, or with numbers that do not lie in the file itself.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            datasets = dict(walk(file, len(data)))
            return {path: dataset[()] for path, dataset in datasets.items()}
    except Refused as error:
        raise damaged(source, str(error)) from None
    except HDF5_ERRORS as error:
        raise damaged(source, f"it is no sound HDF5 file ({str(error)[:200]})") from None


class Refused(Exception):
    """What no such file has, and why."""


def walk(file, size):
    """`(path, dataset)` of all of a file of `size` bytes, which together hold no more than that.

    Links may lead round in a circle, or one into the other a thousandfold: depth and number are
    bounded. Those to another place or file are not followed.
    """
    groups, count, left = [("", file)], 0, size
    while groups:
        parent, group = groups.pop()
        if len(group) > MAX_ITEMS:
            raise Refused(f"{parent[:80]!r} must have at most {MAX_ITEMS} items; got {len(group)}")
        for name in group:
            path = f"{parent}/{name}" if parent else name
            count += 1
            if count > MAX_ITEMS or path.count("/") > MAX_DEPTH:
                raise Refused(
                    f"it must have at most {MAX_ITEMS} items and {MAX_DEPTH} groups within groups, "
                    f"which {path[:80]!r} exceeds"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append((path, item))
                continue
            left -= checked_size(path, item)
            if left < 0:
                raise Refused(f"its numbers up to {path[:80]!r} are more than its {size} bytes")
            yield path, item


def checked_size(path, item):
    """The bytes of a dataset of plain numbers, all of which lie in the file as they are."""
    is_dataset = isinstance(item, h5py.Dataset) and item.shape is not None
    if not is_dataset or not (item.dtype.kind in "fiu" or is_bfloat16(item)):
        raise Refused(f"{path[:80]!r} must be plain numbers that the file itself holds")
    is_filtered = item.id.get_create_plist().get_nfilters() > 0
    is_elsewhere = item.external or item.is_virtual or is_filtered
    if is_elsewhere or item.id.get_storage_size() < item.nbytes:  # less if nobody wrote them
        raise Refused(f"{path[:80]!r} must be plain numbers that the file itself holds")
    return item.nbytes


def is_bfloat16(dataset):
    """Whether its two bytes a number, which HDF5 has no name for, are Keras 3's for bfloat16."""
    return dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16"
