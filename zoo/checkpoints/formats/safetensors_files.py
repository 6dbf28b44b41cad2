"""Safetensors files of others: read by the `safetensors` library, written one tensor at a time.

The library checks that the tensors of a file follow one another without overlap, hole or rest; here
names that occur twice are refused, too, and headers too large to be anybody's.
"""

import json
import math
import os
import re
from pathlib import Path

import safetensors

from zoo.checkpoints.formats import checks
from zoo.checkpoints.formats.tensors import Tensors
from zoo.files import replacing, write_atomically
from zoo.weights_file import CODES, DTYPES, as_bytes, damaged, header_bytes, strict_json

NAME = "model.safetensors"
MAX_HEADER_BYTES = 4 * 2**20  # 40,000 tensors; the largest published shards have a tenth
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class SafetensorsFile(Tensors):
    """The tensors of one file.

    Args:
        path: of the file.

    Attributes:
        metadata: `{text: text}` from the header.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or with numbers that NumPy does not have, such as float8.
    """

    def __init__(self, path):
        self.path = Path(path)
        header = read_header(self.path)
        self.metadata = header.pop("__metadata__", {})
        self.file = self.opened()
        self.names = tuple(self.file.offset_keys())
        if set(self.names) != set(header):
            raise damaged(self.path, "it was exchanged while it was read")
        for name in self.names:
            part = self.file.get_slice(name)
            checks.check_tensor(name, part.get_shape(), self.path)
            if part.get_dtype() not in DTYPES:
                raise ValueError(
                    f"{self.path}: {name!r} has the dtype {part.get_dtype()}, which is not "
                    f"supported; it must be one of {', '.join(DTYPES)}. Use a checkpoint that is "
                    "not quantised."
                )

    def opened(self):
        try:  # not mapped: where a mapped file is cut, the process dies
            return safetensors.safe_open(self.path, framework="np", backend="pread")
        except (safetensors.SafetensorError, OSError) as error:
            raise damaged(self.path, str(error)[:300]) from None

    def shape(self, name):
        return tuple(self.file.get_slice(name).get_shape())

    def dtype(self, name):
        return DTYPES[self.file.get_slice(name).get_dtype()]

    def read(self, name):
        try:
            return self.file.get_tensor(name)
        except safetensors.SafetensorError as error:
            raise damaged(self.path, f"{error}"[:300]) from None

    def close(self):
        self.file = None


def read_header(path):
    """The JSON object at the start of a file."""
    with checks.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        checks.check_is(start, None, path)
        length = int.from_bytes(start, "little")
        if size < 8 or length > size - 8:
            raise damaged(path, "it is cut short or no safetensors file")
        if length > MAX_HEADER_BYTES:
            raise damaged(
                path, f"a header of {length} bytes is over the limit of {MAX_HEADER_BYTES}"
            )
        return strict_json(file.read(length), path)


def write(path, tensors, names=None):
    """Write a file in one step, one tensor in memory at a time.

    Args:
        path: of the file.
        tensors: a `Tensors`.
        names: those to write; None for all.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    names = tensors.names if names is None else names
    # The largest numbers first, so that each tensor is aligned.
    names = sorted(names, key=lambda name: -tensors.dtype(name).itemsize)
    header, end = {"__metadata__": {"format": "pt"}}, 0  # transformers reads no other
    for name in names:
        start, end = end, end + tensors.num_bytes(name)
        header[name] = {
            "dtype": CODES[tensors.dtype(name)],
            "shape": list(tensors.shape(name)),
            "data_offsets": [start, end],
        }
    with replacing(path) as scratch, open(scratch, "xb") as file:
        file.write(header_bytes(header))
        for name in names:
            file.write(as_bytes(tensors.read(name)))


def write_folder(folder, tensors, max_shard_size="5GB"):
    """Write `model.safetensors`, or shards with an index if that would be too large.

    Each file is written in one step, the index last; for all of them in one, let
    `zoo.folders.replace_folder` call this.

    Args:
        folder: that exists.
        tensors: a `Tensors`.
        max_shard_size: bytes, or text such as `"500MB"` or `"5GB"`. A larger tensor has a shard of
            its own.
    """
    folder = Path(folder)
    shards = split(tensors, parse_size(max_shard_size))
    if len(shards) == 1:
        write(folder / NAME, tensors)
        return
    places = {}
    for number, names in enumerate(shards, 1):
        shard = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(folder / shard, tensors, names)
        places |= dict.fromkeys(names, shard)
    metadata = {
        "total_parameters": sum(math.prod(tensors.shape(name)) for name in tensors.names),
        "total_size": sum(map(tensors.num_bytes, tensors.names)),
    }
    index = {"metadata": metadata, "weight_map": dict(sorted(places.items()))}
    write_atomically(folder / f"{NAME}.index.json", json.dumps(index, indent=2) + "\n")


def split(tensors, limit):
    """The names in shards of at most `limit` bytes."""
    shards, size = [[]], 0
    for name in tensors.names:
        more = tensors.num_bytes(name)
        if shards[-1] and size + more > limit:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += more
    return shards


def parse_size(size):
    """Bytes of a size such as `"5GB"`."""
    if type(size) is int and size > 0:
        return size
    match = re.fullmatch(r"(\d{1,9})\s*([KMG]I?B)", size.upper()) if isinstance(size, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError(
            f"max_shard_size must be a number of bytes or text such as '5GB'; got {size!r}."
        )
    return int(match[1]) * UNITS[match[2]]
