"""Writes GGUF files, one tensor in memory at a time."""

import struct

import numpy as np

from zoo.checkpoints.formats.gguf import blocks
from zoo.checkpoints.formats.gguf.blocks import BLOCKS
from zoo.checkpoints.formats.gguf.header import (
    ALIGNMENT,
    ARRAY,
    DEFAULT_ALIGNMENT,
    MAGIC,
    MAX_NAME,
    SCALARS,
    TEXT,
    padded,
)
from zoo.files import replacing
from zoo.tensors import checks

VERSION = 3
WRITTEN = tuple(kind for kind, block in BLOCKS.items() if block.encode or block.size == 1)
TYPES = {dtype: code for code, dtype in SCALARS.items()}


def write(path, metadata, tensors, kind="F32"):
    """Write a file in one step, one tensor in memory at a time.

    As llama.cpp has it, vectors are float32, and rows that do not fill blocks are float16.

    Args:
        path: of the file.
        metadata: `{key: value}`: bool, int, float, text, a list of texts or of numbers, or what
            NumPy has with a dtype. Numbers without one are uint32, int32 or float32.
        tensors: a `Tensors` of floats.
        kind: `"F32"`, `"F16"`, `"BF16"` or `"Q8_0"`.

    Raises:
        OSError: it cannot be written; what was there before still is.
        ValueError: a value or a tensor that the format does not have.
    """
    if kind not in WRITTEN:
        raise ValueError(f"The kind of blocks must be one of {', '.join(WRITTEN)}; got {kind!r}.")
    kinds = {name: kind_of(tensors.shape(name), kind) for name in tensors.names}
    metadata = {key: value for key, value in metadata.items() if key != ALIGNMENT}
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(kinds), len(metadata))]
    for key, value in metadata.items():
        parts += [text(key), typed(key, value)]
    end = 0
    for name, its_kind in kinds.items():
        shape = tensors.shape(name)
        checks.check_tensor(name, shape, path)
        if len(name.encode()) >= MAX_NAME or 0 in shape or len(shape) > 4:
            raise ValueError(
                f"A tensor of a GGUF file must have a name of less than {MAX_NAME} bytes and up to "
                f"4 sizes above 0; got {name!r} with the shape {shape}."
            )
        parts += [text(name), struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])]
        parts.append(struct.pack("<IQ", blocks.CODES[its_kind], end))
        end = padded(end + BLOCKS[its_kind].num_bytes(shape), DEFAULT_ALIGNMENT)
    with replacing(path) as scratch, open(scratch, "xb") as file:
        file.write(b"".join(parts))
        pad(file)
        for name, its_kind in kinds.items():
            file.write(blocks.encode(tensors.read(name), its_kind, name))
            pad(file)


def kind_of(shape, kind):
    """The kind that a tensor is written in."""
    if len(shape) < 2:
        return "F32"
    return "F16" if shape[-1] % BLOCKS[kind].size else kind


def pad(file):
    place = file.tell()
    file.write(bytes(padded(place, DEFAULT_ALIGNMENT) - place))


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(key, value):
    """The bytes of a value, its type first."""
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + text(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
        head = struct.pack("<IIQ", ARRAY, TEXT, len(value))
        return head + b"".join(map(text, value))
    numbers = np.asarray(value)
    if not hasattr(value, "dtype"):
        numbers = numbers.astype(narrow(numbers))
    if numbers.dtype not in TYPES or numbers.ndim > 1:
        raise ValueError(
            f"The value of {key!r} must be a number, a bool, text, or a list of one of them; got "
            f"{str(value)[:80]!r}."
        )
    code = TYPES[numbers.dtype]
    head = struct.pack("<I", code)
    if numbers.ndim == 1:
        head = struct.pack("<IIQ", ARRAY, code, len(numbers))
    return head + numbers.tobytes()


def narrow(numbers):
    """The dtype of numbers that came without one."""
    if numbers.dtype.kind == "f":
        return np.dtype("<f4")
    if numbers.dtype.kind not in "iu":
        return numbers.dtype
    least, most = numbers.min(initial=0), numbers.max(initial=0)
    if least >= 0:
        return np.dtype("<u4" if most < 2**32 else "<u8")
    return np.dtype("<i4" if least >= -(2**31) and most < 2**31 else "<i8")
