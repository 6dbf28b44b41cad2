"""The weights of a folder: one file, or several with an index beside them.

model.safetensors                          or
model-00001-of-00002.safetensors, ...      model.safetensors.index.json: {"weight_map": {...}}
"""

from pathlib import Path

from zoo.tensors import checks
from zoo.tensors.base import Tensors
from zoo.tensors.checks import damaged, strict_json
from zoo.tensors.reading import SafetensorsFile

NAME = "model.safetensors"
INDEX = ".index.json"
MAX_INDEX_BYTES = 8 * 2**20
MAX_SHARDS = 512  # each is an open file


def find(folder, name=NAME):
    """The path of a folder's weights, or of the index of their shards; None without any.

    Raises:
        ValueError: it is a link that leaves the folder.
    """
    path, index = folder / name, folder / f"{name}{INDEX}"
    if path.exists() or path.is_symlink():
        return checks.member(folder, name, folder)
    return checks.member(folder, index.name, folder) if index.exists() else None


def open_safetensors(path):
    """The tensors of a safetensors file, or of the shards of an index."""
    path = Path(path)
    return Shards(path) if path.name.endswith(INDEX) else SafetensorsFile(path)


class Shards(Tensors):
    """Several files, with an index that says which tensor lies in which.

    Args:
        path: the index, a Path; the shards are beside it.
        open_file: what makes a `Tensors` of the path of a shard.
    """

    def __init__(self, path, open_file=SafetensorsFile):
        self.path = path
        self.open_file = open_file
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
        self.shards[shard] = tensors = self.open_file(path)
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

    def check_data(self):
        for shard in self.shards.values():
            shard.check_data()

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
