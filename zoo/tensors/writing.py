"""Safetensors files, single or in shards, written one tensor at a time."""

import json
import math
import re
import zlib
from pathlib import Path

from zoo.files import replacing, write_atomically
from zoo.tensors.dtypes import CODES, as_bytes
from zoo.tensors.reading import NO_CHECKSUM
from zoo.tensors.shards import INDEX, NAME

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def write(path, tensors, names=None, kind="pt"):
    """Write a file in one step, one tensor in memory at a time, with a checksum of all of it.

    Args:
        path: of the file.
        tensors: a `Tensors`.
        names: those to write; None for all.
        kind: what its header calls its format; transformers reads `"pt"` alone.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    names = tensors.names if names is None else names
    # The largest numbers first, so that each tensor is aligned.
    names = sorted(names, key=lambda name: -tensors.dtype(name).itemsize)
    metadata = {"format": kind, "checksum": NO_CHECKSUM}
    header, end = {"__metadata__": metadata}, 0
    for name in names:
        start, end = end, end + tensors.num_bytes(name)
        header[name] = {
            "dtype": CODES[tensors.dtype(name)],
            "shape": list(tensors.shape(name)),
            "data_offsets": [start, end],
        }
    with replacing(path) as scratch, open(scratch, "xb") as file:
        file.write(header_bytes(header))
        checksum = zlib.crc32(header_bytes(header))
        for name in names:
            data = as_bytes(tensors.read(name))
            checksum = zlib.crc32(data, checksum)
            file.write(data)
        metadata["checksum"] = f"{checksum:08x}"
        file.seek(0)
        file.write(header_bytes(header))


def write_folder(folder, tensors, max_shard_size="5GB", kind="pt"):
    """Write `model.safetensors`, or shards with an index if that would be too large.

    Each file is written in one step, the index last; for all of them in one, let
    `zoo.folders.replace_folder` call this.

    Args:
        folder: that exists.
        tensors: a `Tensors`.
        max_shard_size: bytes, or text such as `"500MB"` or `"5GB"`. A larger tensor has a shard of
            its own.
        kind: that of `write`.
    """
    folder = Path(folder)
    shards = split(tensors, parse_size(max_shard_size))
    if len(shards) == 1:
        write(folder / NAME, tensors, kind=kind)
        return
    places = {}
    for number, names in enumerate(shards, 1):
        shard = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(folder / shard, tensors, names, kind)
        places |= dict.fromkeys(names, shard)
    metadata = {
        "total_parameters": sum(math.prod(tensors.shape(name)) for name in tensors.names),
        "total_size": sum(map(tensors.num_bytes, tensors.names)),
    }
    index = {"metadata": metadata, "weight_map": dict(sorted(places.items()))}
    write_atomically(folder / f"{NAME}{INDEX}", json.dumps(index, indent=2) + "\n")


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


def header_bytes(header):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the numbers
    return len(text).to_bytes(8, "little") + text
