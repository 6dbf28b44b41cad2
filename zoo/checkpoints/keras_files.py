"""Weights files of Keras 1 and 2, HDF5, as NumPy arrays: no layer or configuration is made of them.

lstm_1/lstm_1/kernel:0     a dataset: the layer, and the weight's name within it
"""

import io

import h5py

from zoo import weights as weight_files


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
    arrays = {}

    def visit(path, item):  # h5py leads here by hard links alone, never to other files
        if not isinstance(item, h5py.Dataset):
            return
        is_elsewhere = item.external or item.is_virtual or item.compression is not None
        if is_elsewhere or item.dtype.kind not in "fiu" or item.nbytes > len(data):
            raise weight_files.damaged(
                source, f"{path[:80]!r} must be plain numbers that the file itself holds"
            )
        arrays[path] = item[()]

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise weight_files.damaged(source, f"it is no sound HDF5 file ({error})") from None
    return arrays
