"""Opens the weights of others, whatever format they are in.

    with open_tensors("folder") as tensors:
        for name in tensors.names:
            tensors.shape(name), tensors.dtype(name), tensors.read(name)

A folder has its weights in `model.safetensors`, in shards with an index beside them, or in pickles
of PyTorch, `pytorch_model.bin` and its shards; a `.gguf` file has them with all else.
"""

import os
from pathlib import Path

from zoo.checkpoints.formats import gguf, torch_files
from zoo.tensors import INDEX, NAME, SafetensorsFile, Shards, find

PICKLED = "pytorch_model.bin"

READERS = {
    ".safetensors": SafetensorsFile,
    ".bin": torch_files.TorchFile,
    ".pt": torch_files.TorchFile,
    ".pth": torch_files.TorchFile,
    ".gguf": gguf.GgufFile,
}


def open_tensors(path):
    """The tensors of a folder or of a file.

    Safetensors are preferred to pickles, and a single file to shards, as transformers does. Shapes
    and dtypes are checked against the sizes of the files before anything is read.

    Args:
        path: a folder of transformers, or a `.safetensors`, `.gguf` or `.bin`/`.pt` file.

    Returns:
        A `Tensors`.

    Raises:
        FileNotFoundError: no weights there, or a shard is missing.
        ValueError: damaged, unsafe or of an unknown format.
    """
    path = Path(path)
    if os.path.isdir(path):  # which is False for what is no path at all
        path = find_weights(path)
    return Shards(path, open_file) if path.name.endswith(INDEX) else open_file(path)


def find_weights(folder):
    """The file of a folder that has its weights, or the index that says which files have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is a link that leaves the folder.
    """
    path = find(folder, NAME) or find(folder, PICKLED)
    if path is None:
        raise FileNotFoundError(
            f"{str(folder)!r} has no weights: there must be a {NAME} or a {PICKLED} in it, or "
            f"shards with an index such as {NAME}{INDEX}."
        )
    return path


def open_file(path):
    """A reader of one file, by its suffix."""
    path = Path(path)
    if path.suffix not in READERS:
        raise ValueError(
            f"{str(path)[:300]!r} must end in one of {', '.join(READERS)}. Give a file of weights, "
            "or a folder with one."
        )
    return READERS[path.suffix](path)
