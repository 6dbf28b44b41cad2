"""Safetensors files, read strictly.

A file is 8 bytes with the header's length, the header in JSON, and the numbers of one tensor after
the other: https://github.com/huggingface/safetensors#format. Nothing in it can run code. The
library sees to it that they follow one another without overlap, hole or rest. It lets pass
duplicate names, unknown fields and flipped bits; here each is an error.
"""

import json
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np
import safetensors

MAX_HEADER_BYTES = 4 * 2**20  # 256 blocks of 40 tensors take a quarter

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
CHUNK = 2**20
FORMAT = "zoo"
CHECKSUM = re.compile(rb'(?<="checksum":")[0-9a-f]{8}(?=")')
NO_CHECKSUM = "0" * 8  # what stands in the header while its checksum is taken


class Tensor(NamedTuple):
    """What the header says of one tensor."""

    name: str
    dtype: np.dtype
    shape: tuple


class WeightsFile:
    """A safetensors file whose header is sound.

    Attributes:
        path: Path.
        tensors: `{name: Tensor}`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: not a sound safetensors file.
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"No weights file at {str(self.path)!r}.")
        with open(self.path, "rb") as file:
            self.raw = read_raw_header(file, self.path)
        header = strict_json(self.raw[8:], self.path)
        self.metadata = header.pop("__metadata__", {})
        for name, entry in header.items():
            check_entry(name, entry, self.path)
        try:  # not mapped: where a mapped file is cut, the process dies
            self.file = safetensors.safe_open(self.path, framework="np", backend="pread")
        except (safetensors.SafetensorError, OSError) as error:
            raise damaged(self.path, reason(error)) from None
        if set(self.file.keys()) != set(header):
            raise damaged(self.path, "it was exchanged while it was read")
        self.tensors = {
            name: Tensor(name, DTYPES[entry["dtype"]], tuple(entry["shape"]))
            for name, entry in header.items()
        }

    def read(self, tensor):
        """The numbers of one tensor, all of them finite."""
        try:
            array = self.file.get_tensor(tensor.name)
        except safetensors.SafetensorError as error:
            raise damaged(self.path, reason(error)) from None
        if not is_finite(array):
            raise ValueError(
                f"Weights must be finite, but {tensor.name!r} in {self.path} holds NaN or "
                "infinity: it is damaged, or training had diverged. Use another file."
            )
        return array

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
        with open(self.path, "rb") as file:
            file.seek(len(self.raw))
            while chunk := file.read(CHUNK):
                checksum = zlib.crc32(chunk, checksum)
        if expected != f"{checksum:08x}":
            raise damaged(
                self.path, f"its checksum must be {expected[:80]!r}; got '{checksum:08x}'"
            )


def as_bytes(array):
    """The memory of an array as a flat array of bytes."""
    return np.ascontiguousarray(array).reshape(-1).view("uint8")


def is_float(dtype):
    return keras.backend.is_float_dtype(dtype)


def is_finite(array):
    """Whether all numbers of an array are finite."""
    if array.size == 0 or not is_float(str(array.dtype)):
        return True
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))  # both propagate NaN


def header_bytes(header):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the numbers
    return len(text).to_bytes(8, "little") + text


def read_raw_header(file, path):
    """The length and the header at the start of an open file, as bytes."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
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
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise damaged(path, f"the dtype of {shown!r} must be one of {', '.join(DTYPES)}")


def strict_json(data, source):
    """The JSON object in `data`, bytes; refuses duplicate keys, NaN and what is no object."""

    def unique(pairs):
        contents = dict(pairs)
        if len(contents) < len(pairs):
            seen = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise ValueError(f"{twice[:80]!r} occurs twice")
        return contents

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    try:
        contents = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(source, f"its JSON is not valid ({error})") from None
    if not isinstance(contents, dict):
        raise damaged(source, "its JSON must be an object")
    return contents


def damaged(path, reason):
    return ValueError(f"{path} is damaged: {reason}. Fetch or save it again.")
