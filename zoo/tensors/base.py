"""Tensors by their names, one in memory at a time: what every reader is and every writer takes."""

import math


class Tensors:
    """Tensors of a file, closed by `close`, or at the end of a `with`.

    Attributes:
        names: of the tensors, a tuple in the order of the file.
    """

    names = ()

    def shape(self, name):
        """The shape of a tensor, a tuple of ints, without reading it."""
        raise NotImplementedError

    def dtype(self, name):
        """The NumPy dtype that `read` gives (`ml_dtypes.bfloat16` for bfloat16)."""
        raise NotImplementedError

    def read(self, name):
        """The tensor, an array.

        Raises:
            ValueError: the file is damaged there, or was changed since it was opened.
        """
        raise NotImplementedError

    def check_data(self):
        """Raise ValueError if a checksum that the file holds is not that of its numbers."""

    def close(self):
        """Let go of the files."""
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def num_bytes(self, name):
        """The size of what `read` gives."""
        return math.prod(self.shape(name)) * self.dtype(name).itemsize


class InMemory(Tensors):
    """Arrays that are in memory already.

    Args:
        arrays: `{name: array}`.
        path: what errors call where they came from.
    """

    def __init__(self, arrays, path="memory"):
        self.arrays = arrays
        self.path = path
        self.names = tuple(arrays)

    def shape(self, name):
        return self.arrays[name].shape

    def dtype(self, name):
        return self.arrays[name].dtype

    def read(self, name):
        return self.arrays[name]

    def close(self):
        pass
