"""KerasHub's weights: HDF5 files of Keras 3, read as tensors one at a time, and written."""

import contextlib
import re
import zlib

import h5py
import ml_dtypes
import numpy as np

from zoo.checkpoints.formats.keras_files import HDF5_ERRORS, Refused, is_bfloat16, walk
from zoo.checkpoints.keras_hub.rows import BLOCKS
from zoo.tensors.base import Tensors
from zoo.tensors.checks import damaged, member, open_regular, strict_json

MODEL, TASK, INDEX = "model.weights.h5", "task.weights.h5", "model.weights.json"
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
OF_TASK = "task/"  # before the names of a task's own weights
MAX_INDEX = 2**24  # bytes of an index of shards
MAX_SHARDS = 1_000
BLOCK = re.compile(rf"layers/({'|'.join(BLOCKS)})(?:_(\d+))?/")


def numbered(name):
    """A name of a file, with a number for the first block, too."""
    return BLOCK.sub(lambda found: f"layers/{found[1]}_{found[2] or 0}/", name, count=1)


def unnumbered(name):
    """The way back."""
    return re.sub(rf"^layers/({'|'.join(BLOCKS)})_0/", r"layers/\1/", name)


def weight_files(folder):
    """`[(path, prefix of names)]` of a preset.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: an index that names no files of the folder.
    """
    path, index = folder / MODEL, folder / INDEX
    if path.exists():
        files = [path]
    elif index.exists():
        files = shards(folder, index)
    else:
        raise FileNotFoundError(
            f"{folder} has no weights: there must be a {MODEL}, or a {INDEX} with its shards, in "
            "it. weights=False makes the model with random ones."
        )
    task = [(folder / TASK, OF_TASK)] if (folder / TASK).exists() else []
    return [(file, "") for file in files] + task


def shards(folder, index):
    with open_regular(index) as file:
        data = file.read(MAX_INDEX + 1)
    if len(data) > MAX_INDEX:
        raise ValueError(f"{index} must be at most {MAX_INDEX} bytes.")
    places = strict_json(data, index).get("weight_map")
    places = places.values() if isinstance(places, dict) else [None]
    names = {name for place in places for name in (place if isinstance(place, list) else [place])}
    if not names or not all(isinstance(name, str) for name in names) or len(names) > MAX_SHARDS:
        raise damaged(index, "its weight_map must give the file of each weight")
    return [member(folder, name, index) for name in sorted(names)]


class HubTensors(Tensors):
    """The weights of a preset under the names of the tables; see `keras_hub.families`."""

    def __init__(self, folder):
        self.path = folder
        self.stack = contextlib.ExitStack()
        self.found = {}
        try:
            for path, prefix in weight_files(folder):
                self.open(path, prefix)
        except BaseException:
            self.close()
            raise
        self.names = tuple(self.found)

    def open(self, path, prefix):
        with readable(path):
            raw = self.stack.enter_context(open_regular(path))
            size = raw.seek(0, 2)
            file = self.stack.enter_context(h5py.File(raw, "r"))
            for name, dataset in walk(file, size):
                if prefix and not name.startswith("layers/"):
                    continue  # of the optimizer
                name = prefix + numbered(name)
                if name in self.found:
                    raise Refused(f"{name[:80]!r} is there twice")
                self.found[name] = path, dataset

    def shape(self, name):
        return tuple(self.found[name][1].shape)

    def dtype(self, name):
        dataset = self.found[name][1]
        return BFLOAT16 if is_bfloat16(dataset) else dataset.dtype

    def read(self, name):
        path, dataset = self.found[name]
        with readable(path):
            array = dataset[()]
        return array.view(BFLOAT16) if is_bfloat16(dataset) else array

    def close(self):
        self.stack.close()


@contextlib.contextmanager
def readable(path):
    """Whatever the library raises for a damaged file, as one sentence."""
    try:
        yield
    except Refused as error:
        raise damaged(path, str(error)) from None
    except FileNotFoundError:
        raise
    except HDF5_ERRORS as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        reason = str(error)[:200]
        raise damaged(path, f"it is no sound HDF5 file ({reason})") from None
    except zlib.error as error:
        raise damaged(path, f"it is no sound HDF5 file ({error})") from None


def write_weights(folder, tensors, more):
    """Write `Tensors` into the files of a preset, with `more`, `{name: array}`, of the backbone."""
    names = {MODEL: {}, TASK: {}}
    for name in tensors.names:
        file = TASK if name.startswith(OF_TASK) else MODEL
        names[file][unnumbered(name.removeprefix(OF_TASK))] = name
    for file, stored in names.items():
        if not stored:
            continue
        with h5py.File(folder / file, "w") as out:
            for place, name in stored.items():
                put(out, place, tensors.read(name))
            for place, array in more.items() if file == MODEL else ():
                put(out, place, array)


def put(out, place, array):
    is_half = array.dtype.name == "bfloat16"
    out.create_dataset(place, data=array.astype("float32") if is_half else np.asarray(array))
