"""The kinds of blocks of a GGUF file: a few bytes that stand for 1, 32 or 256 numbers of a row.

A block has one or two scales of its own (float16), and small integers `q` for its numbers:

    Q4_0, Q5_0, Q8_0     w = d q
    Q4_1, Q5_1           w = d q + m
    Q4_K and its like    w = d s q - dmin m, with integers s and m for every 16 or 32 numbers

https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import ml_dtypes
import numpy as np

CHUNK = 2**16  # numbers that are worked out at a time, which stay in the processor's cache


class Block(NamedTuple):
    """A kind of blocks.

    Attributes:
        size: numbers of a row that make a block.
        num_bytes_each: bytes of it.
        dtype: of the numbers.
        decode: `(n, num_bytes_each)` bytes to `(n, size)` numbers; None where they lie as they are.
        encode: the reverse, or None if it is not written.
    """

    size: int
    num_bytes_each: int
    dtype: np.dtype
    decode: Callable | None = None
    encode: Callable | None = None

    def num_bytes(self, shape):
        """Of a tensor."""
        return math.prod(shape) // self.size * self.num_bytes_each


def fields(blocks, *widths):
    """Columns of the widths given, and the rest."""
    ends = np.cumsum(widths)
    return np.split(blocks, ends, axis=1)


def scale(column):
    """Two bytes, float16, as `(n, 1)` float32."""
    return np.ascontiguousarray(column).view("<f2").astype("float32")


def nibbles(q, width):
    """Each `width` bytes hold the low halves of as many numbers, then the high ones."""
    n = len(q)
    both = q.reshape(n, -1, 1, width) >> np.array([0, 4], "uint8").reshape(1, 1, 2, 1)
    return (both & 15).reshape(n, -1)


def bit_of_each(column):
    """Four bytes as 32 numbers, 0 or 1."""
    return np.unpackbits(column, axis=1, bitorder="little")


def decode_q4_0(blocks):
    d, q = fields(blocks, 2)
    return scale(d) * (nibbles(q, 16).astype("int8") - np.int8(8)).astype("float32")


def decode_q4_1(blocks):
    d, m, q = fields(blocks, 2, 2)
    return scale(d) * nibbles(q, 16).astype("float32") + scale(m)


def decode_q5_0(blocks):
    d, high, q = fields(blocks, 2, 4)
    q = nibbles(q, 16) | bit_of_each(high) << 4
    return scale(d) * (q.astype("int8") - np.int8(16)).astype("float32")


def decode_q5_1(blocks):
    d, m, high, q = fields(blocks, 2, 2, 4)
    q = nibbles(q, 16) | bit_of_each(high) << 4
    return scale(d) * q.astype("float32") + scale(m)


def decode_q8_0(blocks):
    d, q = fields(blocks, 2)
    return q.view("int8").astype("float32") * scale(d)


def encode_q8_0(numbers):
    d = np.abs(numbers).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.where(d == 0, 0, numbers * (1 / d)).astype("float32")
    size = np.abs(q)
    q = np.sign(q) * (np.floor(size) + np.floor(2 * (size - np.floor(size))))  # halves go outward
    return np.concatenate([d.astype("<f2").view("uint8"), q.astype("int8").view("uint8")], axis=1)


def decode_q2_k(blocks):
    scales, q, d, dmin = fields(blocks, 16, 64, 2)
    s = (scale(d) * (scales & 15).astype("float32"))[:, :, None]
    m = (scale(dmin) * (scales >> 4).astype("float32"))[:, :, None]
    q = bit_pairs(q).reshape(-1, 16, 16).astype("float32")
    return (s * q - m).reshape(-1, 256)


def decode_q3_k(blocks):
    high, q, scales, d = fields(blocks, 32, 64, 12)
    n = len(blocks)
    low_4 = nibbles(scales[:, :8], 8)
    high_2 = scales[:, None, 8:] >> np.array([0, 2, 4, 6], "uint8").reshape(1, 4, 1) & 3
    s = (low_4 | high_2.reshape(n, 16) << 4).astype("int8") - np.int8(32)
    # Where the high bit is 0, 4 is taken away.
    bits = high[:, None, :] >> np.arange(8, dtype="uint8").reshape(1, 8, 1) & 1
    q = bit_pairs(q).astype("int8") - (4 - 4 * bits.reshape(n, 256).astype("int8"))
    return ((scale(d) * s.astype("float32"))[:, :, None] * q.reshape(n, 16, 16)).reshape(n, 256)


def bit_pairs(q):
    """Each 32 bytes hold the lowest 2 bits of 32 numbers, then the next, four times."""
    shifts = np.array([0, 2, 4, 6], "uint8").reshape(1, 1, 4, 1)
    return (q.reshape(len(q), -1, 1, 32) >> shifts & 3).reshape(len(q), -1)


def scales_and_minima(packed):
    """Twelve bytes as 8 scales and 8 minima of 6 bits."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    s = np.concatenate([low & 63, high & 15 | low >> 2 & 48], axis=1)
    m = np.concatenate([middle & 63, high >> 4 | middle >> 2 & 48], axis=1)
    return s, m


def decode_q4_k(blocks):
    d, dmin, scales, q = fields(blocks, 2, 2, 12)
    return of_eight(d, dmin, scales, nibbles(q, 32))


def decode_q5_k(blocks):
    d, dmin, scales, high, q = fields(blocks, 2, 2, 12, 32)
    bits = high[:, None, :] >> np.arange(8, dtype="uint8").reshape(1, 8, 1) & 1
    return of_eight(d, dmin, scales, nibbles(q, 32) | bits.reshape(-1, 256) << 4)


def of_eight(d, dmin, scales, q):
    """Eight parts of 32 numbers, each with a scale and a minimum."""
    s, m = scales_and_minima(scales)
    s = (scale(d) * s.astype("float32"))[:, :, None]
    m = (scale(dmin) * m.astype("float32"))[:, :, None]
    return (s * q.reshape(-1, 8, 32).astype("float32") - m).reshape(-1, 256)


def decode_q6_k(blocks):
    low, high, scales, d = fields(blocks, 128, 64, 16)
    q = nibbles(low, 64) | bit_pairs(high) << 4
    q = (q.astype("int8") - np.int8(32)).reshape(-1, 16, 16).astype("float32")
    s = scale(d) * np.ascontiguousarray(scales).view("int8").astype("float32")
    return (s[:, :, None] * q).reshape(-1, 256)


F32 = np.dtype("float32")

BLOCKS = {
    "F32": Block(1, 4, F32),
    "F16": Block(1, 2, np.dtype("float16")),
    "BF16": Block(1, 2, np.dtype(ml_dtypes.bfloat16)),
    "Q8_0": Block(32, 34, F32, decode_q8_0, encode_q8_0),
    "Q4_0": Block(32, 18, F32, decode_q4_0),
    "Q4_1": Block(32, 20, F32, decode_q4_1),
    "Q5_0": Block(32, 22, F32, decode_q5_0),
    "Q5_1": Block(32, 24, F32, decode_q5_1),
    "Q2_K": Block(256, 84, F32, decode_q2_k),
    "Q3_K": Block(256, 110, F32, decode_q3_k),
    "Q4_K": Block(256, 144, F32, decode_q4_k),
    "Q5_K": Block(256, 176, F32, decode_q5_k),
    "Q6_K": Block(256, 210, F32, decode_q6_k),
}

NAMES = {  # by their codes in a file, also of those that are not supported
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
CODES = {name: code for code, name in NAMES.items()}


def decode(data, kind, shape):
    """The numbers of a tensor.

    Args:
        data: its bytes, a flat uint8 array.
        kind: a key of `BLOCKS`.
        shape: of the tensor.
    """
    block = BLOCKS[kind]
    if block.decode is None:
        return data.view(block.dtype).reshape(shape)
    numbers = np.empty(math.prod(shape), block.dtype)
    blocks = data.reshape(-1, block.num_bytes_each)
    rows = numbers.reshape(-1, block.size)
    step = CHUNK // block.size
    for start in range(0, len(blocks), step):
        rows[start : start + step] = block.decode(blocks[start : start + step])
    return numbers.reshape(shape)


def encode(array, kind, name):
    """The bytes of a tensor of finite numbers.

    Args:
        array: of floats.
        kind: `"F32"`, `"F16"`, `"BF16"` or `"Q8_0"`.
        name: of the tensor, for errors.
    """
    block = BLOCKS[kind]
    array = np.ascontiguousarray(array)
    numbers = array.astype("float32", copy=False).reshape(-1)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name!r} must be finite to be saved, but holds NaN or infinity.")
    largest = np.abs(numbers).max(initial=0)
    if largest > (65504 if kind == "F16" else 127 * 65504 if kind == "Q8_0" else np.inf):
        raise ValueError(f"{name!r} holds values up to {largest:.3g}, which {kind} cannot hold.")
    if block.decode is None:
        return array.astype(block.dtype, copy=False).reshape(-1).view("uint8")
    step = CHUNK // block.size
    rows = numbers.reshape(-1, block.size)
    data = np.empty((len(rows), block.num_bytes_each), "uint8")
    for start in range(0, len(rows), step):
        data[start : start + step] = block.encode(rows[start : start + step])
    return data.reshape(-1)
