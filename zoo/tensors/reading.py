"""A safetensors file, read strictly.

A file is 8 bytes with the header's length, the header in JSON, and the numbers of one tensor after
the other: https://github.com/huggingface/safetensors#format. Nothing in it can run code. The
library sees to it that they follow one another without overlap, hole or rest. It lets pass
duplicate names, unknown fields and flipped bits; here each is an error.
"""

import os
import re
import zlib
from pathlib import Path

import safetensors

from zoo.tensors import checks
from zoo.tensors.base import Tensors
from zoo.tensors.checks import CHUNK, damaged, strict_json
from zoo.tensors.dtypes import DTYPES

MAX_HEADER_BYTES = 4 * 2**20  # 40,000 tensors; the largest published shards have a tenth
FORMAT = "zoo"  # of presets
CHECKSUM = re.compile(rb'(?<="checksum":")[0-9a-f]{8}(?=")')
NO_CHECKSUM = "0" * 8  # what stands in the header while its checksum is taken


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
        with checks.open_regular(self.path) as file:
            self.raw = read_raw_header(file, self.path)
        header = strict_json(self.raw[8:], self.path)
        self.metadata = header.pop("__metadata__", {})
        for name, entry in header.items():
            check_entry(name, entry, self.path)
        self.file = self.opened()
        self.names = tuple(self.file.offset_keys())
        if set(self.names) != set(header):
            raise damaged(self.path, "it was exchanged while it was read")
        for name in self.names:
            checks.check_tensor(name, self.shape(name), self.path)

    def opened(self):
        try:  # not mapped: where a mapped file is cut, the process dies
            return safetensors.safe_open(self.path, framework="np", backend="pread")
        except (safetensors.SafetensorError, OSError) as error:
            raise damaged(self.path, reason(error)) from None

    def shape(self, name):
        return tuple(self.file.get_slice(name).get_shape())

    def dtype(self, name):
        return DTYPES[self.file.get_slice(name).get_dtype()]

    def read(self, name):
        try:
            return self.file.get_tensor(name)
        except safetensors.SafetensorError as error:
            raise damaged(self.path, reason(error)) from None

    def check_data(self):
        """Compare the file with the checksum that it was written with, if it is one of ours."""
        expected, checksum = self.metadata.get("checksum"), 0
        if expected is not None:
            checksum = zlib.crc32(CHECKSUM.sub(NO_CHECKSUM.encode(), self.raw, count=1))
        elif "crc32" in self.metadata:  # of the numbers alone, in older files
            expected = self.metadata["crc32"]
        elif self.metadata.get("format") == FORMAT:
            raise damaged(self.path, "its checksum is missing")
        else:
            return
        with checks.open_regular(self.path) as file:
            file.seek(len(self.raw))
            while chunk := file.read(CHUNK):
                checksum = zlib.crc32(chunk, checksum)
        if expected != f"{checksum:08x}":
            raise damaged(
                self.path, f"its checksum must be {expected[:80]!r}; got '{checksum:08x}'"
            )

    def close(self):
        self.file = None


def read_raw_header(file, path):
    """The length and the header at the start of an open file, as bytes."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    checks.check_is(start, None, path)
    length = int.from_bytes(start, "little")
    if size < 8 or length > size - 8:
        raise damaged(path, "it is cut short or no safetensors file")
    if length > MAX_HEADER_BYTES:
        raise damaged(path, f"a header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
    return start + file.read(length)


def reason(error):
    """What the library found, in words."""
    text = str(error).removeprefix("Error while deserializing header: ")
    if text.startswith("incomplete metadata"):
        return "it is cut short, or has bytes that belong to no tensor"
    return text[:200]


def check_entry(name, entry, path):
    """Of an entry of the header, what the library lets pass or does not name."""
    shown = name[:80]
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"{shown!r} must have a dtype, a shape and data_offsets, nothing else")
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(
            f"{path}: the dtype of {shown!r} must be one of {', '.join(DTYPES)}; got "
            f"{str(dtype)[:80]!r}. Use a checkpoint that is not quantised."
        )
