"""Weights as safetensors files, read and written strictly.

A file is 8 bytes with the header's length, the header in JSON, and the numbers of one tensor after
the other: https://github.com/huggingface/safetensors#format. Nothing in it can run code. The
readers in use let pass duplicate names, overlapping tensors, unused bytes and flipped bits; here
each is an error, and every name, shape and dtype must be the model's.
"""

import json
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np

from zoo.backends import backend

MAX_HEADER_BYTES = 100_000_000  # the format's own limit

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


class Tensor(NamedTuple):
    """What the header says of one tensor; `start` and `end` count bytes after the header."""

    dtype: np.dtype
    shape: tuple
    start: int
    end: int


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
    header, end = {"__metadata__": {"format": "zoo", "crc32": "0" * 8}}, 0
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
        checksum = 0
        for name, variable in variables.items():
            data = as_bytes(stored_array(name, variable, dtype))
            checksum = zlib.crc32(data, checksum)
            file.write(data)
        header["__metadata__"]["crc32"] = f"{checksum:08x}"
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
    path = Path(path)
    variables = {k: v for k, v in named_weights(model).items() if k not in without}
    with open_weights(path) as file:
        metadata, tensors = read_header(file, path)
        tensors = {name: tensor for name, tensor in tensors.items() if name not in ignored}
        check_names(variables, tensors, path)
        for name, variable in variables.items():
            check_tensor(name, variable, tensors[name], path)
        data_start = file.tell()
        check_data(file, metadata.get("crc32"), path)
        for name, variable in variables.items():
            tensor = tensors[name]
            file.seek(data_start + tensor.start)
            array = np.empty(tensor.shape, tensor.dtype)
            if file.readinto(as_bytes(array)) < array.nbytes:
                raise damaged(path, "it was cut short while it was read")
            array = array.astype(keras.backend.standardize_dtype(variable.dtype), copy=False)
            if not is_finite(array):
                raise ValueError(
                    f"Weights must be finite, but {name!r} in {path} holds NaN or infinity: "
                    "it is damaged, or training had diverged. Use another file."
                )
            variable.assign(backend.from_numpy(array))


def count_numbers(path):
    """How many numbers a weights file holds, from its header alone. Raises as `load_weights`."""
    path = Path(path)
    with open_weights(path) as file:
        _, tensors = read_header(file, path)
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def names(path):
    """The names in a weights file, from its header alone. Raises as `load_weights`."""
    path = Path(path)
    with open_weights(path) as file:
        _, tensors = read_header(file, path)
    return set(tensors)


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


def open_weights(path):
    if not path.is_file():
        raise FileNotFoundError(f"No weights file at {str(path)!r}.")
    return open(path, "rb")


def read_header(file, path):
    """`(metadata, {name: Tensor})` of an open file, whose position is then where the data starts.

    Raises:
        ValueError: not a sound safetensors file.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise damaged(path, "it is cut short or no safetensors file")
    if length > MAX_HEADER_BYTES:
        raise damaged(path, f"a header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
    header = strict_json(file.read(length), path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged(path, "its metadata must map text to text")
    tensors = {name: parse_tensor(name, entry, path) for name, entry in header.items()}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.start != end:
            raise damaged(path, f"the bytes of {name[:80]!r} must follow those before it")
        end = tensor.end
    if end != size - 8 - length:
        what = "is cut short" if end > size - 8 - length else "has bytes that belong to no tensor"
        raise damaged(path, f"it {what}: {end} bytes of weights expected, got {size - 8 - length}")
    return metadata, tensors


def parse_tensor(name, entry, path):
    """One entry of the header, checked."""
    shown = name[:80]
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"{shown!r} must have a dtype, a shape and data_offsets, nothing else")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise damaged(path, f"the dtype of {shown!r} must be one of {', '.join(DTYPES)}")
    if not is_sizes(shape) or not is_sizes(offsets) or len(offsets) != 2:
        raise damaged(path, f"the shape and data_offsets of {shown!r} must be lists of sizes")
    start, end = offsets
    if end - start != math.prod(shape) * DTYPES[code].itemsize:
        raise damaged(path, f"the shape and data_offsets of {shown!r} do not fit together")
    return Tensor(DTYPES[code], tuple(shape), start, end)


def is_sizes(value):
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


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


def check_data(file, expected, path):
    """Compare the rest of the file with the checksum that it was written with, if it has one."""
    checksum = 0
    while chunk := file.read(CHUNK):
        checksum = zlib.crc32(chunk, checksum)
    if expected is not None and expected != f"{checksum:08x}":
        raise damaged(path, f"its checksum must be {expected[:80]!r}; got '{checksum:08x}'")


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
