"""Reads GGUF files, one tensor in memory at a time."""

import numpy as np

from zoo.checkpoints.formats.gguf import blocks
from zoo.checkpoints.formats.gguf.blocks import BLOCKS
from zoo.checkpoints.formats.gguf.header import Header
from zoo.tensors import Tensors, checks
from zoo.tensors.checks import damaged


class GgufFile(Tensors):
    """The tensors of a GGUF file, and what it says of the model.

    Blocks of few bits are worked out to float32; other tensors keep their dtype.

    Args:
        path: of the file.

    Attributes:
        metadata: `{key: value}`: bool, int, float, text, a list of texts, or a NumPy array.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or of a version or with blocks that are not supported.
    """

    def __init__(self, path):
        self.path = path
        self.file = checks.open_regular(path)
        try:
            header = Header(self.file, path)
        except BaseException:
            self.file.close()
            raise
        self.metadata = header.metadata
        self.tensors = header.tensors
        self.names = tuple(self.tensors)

    def shape(self, name):
        return self.tensors[name].shape

    def dtype(self, name):
        return BLOCKS[self.tensors[name].kind].dtype

    def kind(self, name):
        """The kind of a tensor's blocks, such as `"Q4_1"`."""
        return self.tensors[name].kind

    def read(self, name):
        kind, shape, start = self.tensors[name]
        data = np.empty(BLOCKS[kind].num_bytes(shape), "uint8")
        self.file.seek(start)
        if self.file.readinto(data) < len(data):
            raise damaged(self.path, "it was cut short while it was read")
        return blocks.decode(data, kind, shape)

    def close(self):
        self.file.close()
