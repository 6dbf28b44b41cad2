"""Weights as safetensors files, read and written strictly.

A file is 8 bytes with the header's length, the header in JSON, and the numbers of one tensor after
the other: https://github.com/huggingface/safetensors#format. Nothing in it can run code. The
library sees to it that they follow one another without overlap, hole or rest. It lets pass
duplicate names, unknown fields and flipped bits; here each is an error, and every name, shape and
dtype must be the model's.
"""

import json
import math
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np
import safetensors

from zoo.backends import backend

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
HALF = ("float16", "bfloat16")
CHUNK = 2**20
FORMAT = "zoo"
CHECKSUM = re.compile(rb'(?<="checksum":")[0-9a-f]{8}(?=")')
NO_CHECKSUM = "0" * 8  # what stands in the header while its checksum is taken


class Tensor(NamedTuple):
    """What the header says of one tensor."""

    name: str
    dtype: np.dtype
    shape: tuple


def save_weights(model, path, dtype=None):
    """Write the weights of a built model, one tensor in memory at a time.

    Args:
        model: a `keras.Model`; the names in the file are the paths of its variables.
        path: the file to write.
        dtype: `"float16"` or `"bfloat16"` to store floating-point weights rounded to these, or None
            to store every bit.

    Raises:
        OSError: the file cannot be written.
        ValueError: two weights of one name, NaN or infinite weights, or too large for `dtype`.
    """
    if dtype not in (None, *HALF):
        raise ValueError(
            f"The weights' dtype must be None, 'float16' or 'bfloat16'; got {dtype!r}."
        )
    variables = named_weights(model)
    header, end = {"__metadata__": {"format": FORMAT, "checksum": NO_CHECKSUM}}, 0
    for name, variable in variables.items():
        stored = stored_dtype(variable, dtype)
        start, end = end, end + math.prod(variable.shape) * stored.itemsize
        header[name] = {
            "dtype": CODES[stored],
            "shape": list(variable.shape),
            "data_offsets": [start, end],
        }
    with open(path, "wb") as file:
        file.write(header_bytes(header))
        checksum = zlib.crc32(header_bytes(header))
        for name, variable in variables.items():
            data = as_bytes(stored_array(name, variable, dtype))
            checksum = zlib.crc32(data, checksum)
            file.write(data)
        header["__metadata__"]["checksum"] = f"{checksum:08x}"
        file.seek(0)
        file.write(header_bytes(header))


def load_weights(model, path, without=(), ignored=()):
    """Fill a built model from a file that holds exactly its weights.

    float16 and bfloat16 widen to float32; no other dtype changes. The header and the checksum are
    checked before anything changes; tensors are then read one at a time.

    Args:
        model: a `keras.Model`.
        path: a safetensors file; one written elsewhere may lack the checksum.
        without: names of weights of the model that the file need not hold.
        ignored: names in the file that the model need not have.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or of another model; the model is unchanged. NaN or infinite weights:
            the model is then partly filled.
    """
    variables = {k: v for k, v in named_weights(model).items() if k not in without}
    file = WeightsFile(path)
    tensors = {name: tensor for name, tensor in file.tensors.items() if name not in ignored}
    check_names(variables, tensors, file.path)
    for name, variable in variables.items():
        check_tensor(name, variable, tensors[name], file.path)
    file.check_data()
    for name, variable in variables.items():
        dtype = keras.backend.standardize_dtype(variable.dtype)
        variable.assign(backend.from_numpy(file.read(tensors[name]).astype(dtype, copy=False)))


def count_numbers(path):
    """How many numbers a weights file holds, from its header alone. Raises as `load_weights`."""
    return sum(math.prod(tensor.shape) for tensor in WeightsFile(path).tensors.values())


def names(path):
    """The names in a weights file, from its header alone. Raises as `load_weights`."""
    return set(WeightsFile(path).tensors)


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


def named_weights(model):
    """`{path: variable}` of a model's weights."""
    variables = {variable.path: variable for variable in model.weights}
    if not model.built or len(variables) < len(model.weights):
        paths = [variable.path for variable in model.weights]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        reason = f"{twice!r} stands for two" if twice else "the model is not built yet"
        raise ValueError(
            f"Each weight needs a path of its own to be stored under; {reason}. "
            "Give every layer a name, and call the model once."
        )
    return variables


def stored_dtype(variable, dtype):
    own = keras.backend.standardize_dtype(variable.dtype)
    return np.dtype(dtype if dtype and is_float(own) else own)


def stored_array(name, variable, dtype):
    array = keras.ops.convert_to_numpy(variable.value)
    if not is_finite(array):
        raise ValueError(
            f"Weights must be finite to be saved, but {name!r} holds NaN or infinity: training has "
            "diverged. Go back to an earlier state."
        )
    with np.errstate(over="ignore"):
        stored = array.astype(stored_dtype(variable, dtype), copy=False)
    if not is_finite(stored):
        raise ValueError(
            f"{name!r} holds values up to {np.abs(array).max():.3g}, which {dtype} cannot hold. "
            "Save with bfloat16 or without a dtype."
        )
    return stored


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


def check_names(variables, tensors, path):
    missing = [name for name in variables if name not in tensors]
    unknown = [name for name in tensors if name not in variables]
    if missing or unknown:
        raise ValueError(
            f"{path} must hold exactly the {len(variables)} weights of this model, but "
            f"{differences(missing, unknown)}: it belongs to another model. "
            "Load it with the config.json that it was saved with."
        )


def differences(missing, unknown):
    """How many names are missing and unknown, in words, with one of each."""
    return " and ".join(
        f"{len(names)} are {what}, such as {names[0][:80]!r}"
        for names, what in ((missing, "missing"), (unknown, "unknown"))
        if names
    )


def holds(dtype, stored):
    """Whether a variable may take what a file stores: the same, or halves in float32."""
    return stored == dtype or (dtype == "float32" and stored in HALF)


def check_tensor(name, variable, tensor, path):
    shape, dtype = tuple(variable.shape), keras.backend.standardize_dtype(variable.dtype)
    if tensor.shape != shape:
        raise ValueError(
            f"{path}: {name!r} must have the model's shape {shape}; got {tensor.shape}. "
            "Load it with the config.json that it was saved with."
        )
    stored = str(tensor.dtype)
    if not holds(dtype, stored):
        raise ValueError(
            f"{path}: {name!r} must be {dtype}, or float16 or bfloat16 to be widened to float32; "
            f"got {stored}. Build the model with a dtype that has {stored} variables."
        )


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
