"""Opens the weights of others, whatever format they are in.

    with open_tensors("folder") as tensors:
        for name in tensors.names:
            tensors.shape(name), tensors.dtype(name), tensors.read(name)

A folder has its weights in `model.safetensors`, in shards with an index beside them, or in pickles
of PyTorch, `pytorch_model.bin` and its shards; a `.gguf` file has them with all else.
"""

import os
from pathlib import Path

from zoo.checkpoints.formats import checks, gguf, safetensors_files, torch_files
from zoo.checkpoints.formats.tensors import Tensors
from zoo.weights_file import damaged, strict_json

SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"
INDEX = ".index.json"
MAX_INDEX_BYTES = 8 * 2**20
MAX_SHARDS = 512  # each is an open file


READERS = {
    ".safetensors": safetensors_files.SafetensorsFile,
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
    return Shards(path) if path.name.endswith(INDEX) else open_file(path)


def find_weights(folder):
    """The file of a folder that has its weights, or the index that says which files have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is a link that leaves the folder.
    """
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).exists() or (folder / name).is_symlink():
            return checks.member(folder, name, folder)
        if (folder / f"{name}{INDEX}").exists():
            return checks.member(folder, f"{name}{INDEX}", folder)
    raise FileNotFoundError(
        f"{str(folder)!r} has no weights: there must be a {SAFETENSORS} or a {PICKLED} in it, or "
        f"shards with an index such as {SAFETENSORS}{INDEX}."
    )


def open_file(path):
    """A reader of one file, by its suffix."""
    path = Path(path)
    if path.suffix not in READERS:
        raise ValueError(
            f"{str(path)[:300]!r} must end in one of {', '.join(READERS)}. Give a file of weights, "
            "or a folder with one."
        )
    return READERS[path.suffix](path)


class Shards(Tensors):
    """Several files, with an index that says which tensor lies in which.

    Args:
        path: the index, a Path; the shards are beside it.
    """

    def __init__(self, path):
        self.path = path
        self.shards = {}
        self.places = read_index(path)
        self.names = tuple(self.places)
        try:
            for shard in dict.fromkeys(self.places.values()):
                self.add(shard)
        except BaseException:
            self.close()
            raise

    def add(self, shard):
        """Open a shard, which must hold exactly what the index says."""
        path = checks.member(self.path.parent, shard, self.path)
        if not path.exists():
            raise FileNotFoundError(
                f"{self.path} names the shard {shard!r}, which is missing. Fetch it, too."
            )
        self.shards[shard] = tensors = open_file(path)
        held = set(tensors.names)
        expected = {name for name, place in self.places.items() if place == shard}
        for name in sorted(expected - held):
            raise damaged(self.path, f"{name[:80]!r} is not in {shard!r}, where it should be")
        for name in sorted(held - expected):
            place = self.places.get(name)
            why = f"is in {place!r}, too" if place else "is not in the index"
            raise damaged(self.path, f"{name[:80]!r} of {shard!r} {why}")

    def shape(self, name):
        return self.shards[self.places[name]].shape(name)

    def dtype(self, name):
        return self.shards[self.places[name]].dtype(name)

    def read(self, name):
        return self.shards[self.places[name]].read(name)

    def close(self):
        for shard in self.shards.values():
            shard.close()


def read_index(path):
    """`{tensor: shard}` of an index."""
    with checks.open_regular(path) as file:
        data = file.read(MAX_INDEX_BYTES + 1)
    if len(data) > MAX_INDEX_BYTES:
        raise ValueError(f"{path} must be at most {MAX_INDEX_BYTES} bytes.")
    places = strict_json(data, path).get("weight_map")
    is_map = isinstance(places, dict) and all(isinstance(value, str) for value in places.values())
    if not is_map or not places:
        raise damaged(path, "its weight_map must say for each tensor which shard it is in")
    suffix = Path(path.name.removesuffix(INDEX)).suffix
    shards = set(places.values())
    for shard in shards:
        if not shard.endswith(suffix):
            raise damaged(path, f"the shard {shard[:80]!r} must be a {suffix} file")
    if len(shards) > MAX_SHARDS:
        raise damaged(path, f"it must name at most {MAX_SHARDS} shards; got {len(shards)}")
    return places
