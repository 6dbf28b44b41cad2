"""The header of a GGUF file: what it says of the model, and where which tensor lies."""

import os
import struct
from typing import NamedTuple

import numpy as np

from zoo.checkpoints.formats.gguf.blocks import BLOCKS, NAMES
from zoo.tensors import checks
from zoo.tensors.checks import CHUNK, damaged

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = "general.alignment"
DEFAULT_ALIGNMENT = 32

MAX_BYTES = 64 * 2**20  # of the header; a vocabulary of 256,000 takes a quarter of it
MAX_KEY = 2**16 - 1
MAX_NAME = 64  # bytes of a tensor's name
MAX_RANK = 4
MAX_TENSORS = 20_000
MAX_KEYS = 2_000
MAX_ITEMS = 2**20  # of one array, a vocabulary or its merges

SCALARS = {  # by the codes of the types of values
    0: np.dtype("<u1"),
    1: np.dtype("<i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
TEXT, ARRAY = 8, 9


class Tensor(NamedTuple):
    """`(name of the kind of its blocks, shape in NumPy's order, first byte in the file)`."""

    kind: str
    shape: tuple
    start: int


class Header:
    """What stands before the numbers of a file.

    Args:
        file: open, to read, at its start.
        path: what to call it in errors.

    Attributes:
        metadata: `{key: value}`: bool, int, float, text, a list of texts, or a NumPy array.
        tensors: `{name: Tensor}`.

    Raises:
        ValueError: damaged, or of a version or with blocks that are not supported.
    """

    def __init__(self, file, path):
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self.cursor = cursor = Cursor(file, self.size, path)
        magic = cursor.take(4, "its start")
        checks.check_is(bytes(cursor.data[:8]), MAGIC, path)
        if magic != MAGIC:
            raise damaged(path, "it is no GGUF file, which starts with 'GGUF'")
        version = cursor.number("<I", "version")
        if version not in VERSIONS:
            is_big = version.to_bytes(4, "little") in [v.to_bytes(4, "big") for v in VERSIONS]
            what = "a big-endian file" if is_big else f"version {version}"
            raise ValueError(f"{path} must be of version 2 or 3, little-endian; got {what}.")
        num_tensors = cursor.count("tensors", MAX_TENSORS, 24)
        num_keys = cursor.count("keys", MAX_KEYS, 13)
        self.metadata = {}
        for _ in range(num_keys):
            self.add_value()
        infos = [self.tensor_info() for _ in range(num_tensors)]
        self.tensors = self.placed(infos)
        del self.cursor

    def add_value(self):
        key = self.cursor.text("a key", MAX_KEY)
        if not key or not key.isprintable() or key in self.metadata:
            raise damaged(self.path, f"the key {key[:80]!r} is empty, unprintable or there twice")
        self.metadata[key] = self.value(f"key {key[:80]!r}")

    def value(self, what):
        code = self.cursor.number("<I", what)
        if code == TEXT:
            return self.cursor.text(what, MAX_BYTES)
        if code == ARRAY:
            return self.array(what)
        number = self.numbers(code, 1, what)[0]
        # 1e-5 is what was meant, and not the float32 nearest to it.
        return float(str(number)) if number.dtype == "float32" else number.item()

    def array(self, what):
        code = self.cursor.number("<I", what)
        size = 8 if code == TEXT else SCALARS[code].itemsize if code in SCALARS else 1
        count = self.cursor.count(f"items of {what}", MAX_ITEMS, size)
        if code == TEXT:
            return self.cursor.texts(count, what)
        return self.numbers(code, count, what)

    def numbers(self, code, count, what):
        if code not in SCALARS:
            raise damaged(self.path, f"{what} has the type {code}, which no value has")
        dtype = SCALARS[code]
        numbers = np.frombuffer(self.cursor.take(count * dtype.itemsize, what), dtype)
        if dtype.kind == "b" and (numbers.view("u1") > 1).any():
            raise damaged(self.path, f"{what} must be true or false")
        return numbers

    def tensor_info(self):
        """`(name, kind, shape, offset)`."""
        name = self.cursor.text("a tensor's name", MAX_NAME)
        what = f"tensor {name!r}"
        rank = self.cursor.number("<I", what)
        if rank > MAX_RANK:
            raise damaged(self.path, f"{what} must have up to {MAX_RANK} sizes; got {rank}")
        # The first size is that of a row.
        shape = tuple(self.cursor.number("<Q", what) for _ in range(rank))[::-1]
        checks.check_tensor(name, shape, self.path)
        if 0 in shape:
            raise damaged(self.path, f"{what} must have sizes above 0; got {shape}")
        code, offset = self.cursor.number("<I", what), self.cursor.number("<Q", what)
        if code not in NAMES:
            raise damaged(self.path, f"{what} has the type {code}, which no tensor has")
        kind = NAMES[code]
        if kind not in BLOCKS:
            raise ValueError(
                f"{self.path}: {what} has blocks of {kind}, which are not supported; they must be "
                f"{', '.join(BLOCKS)}. Use a file of another quantisation."
            )
        if (rank == 0 or shape[-1] % BLOCKS[kind].size) and BLOCKS[kind].size > 1:
            raise damaged(
                self.path,
                f"{what} must have rows of blocks of {BLOCKS[kind].size}; got {shape}",
            )
        return name, kind, shape, offset

    def placed(self, infos):
        """`{name: Tensor}`, which follow one another up to the end of the file."""
        alignment = self.metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)
        is_power = type(alignment) is int and alignment > 0 and alignment & (alignment - 1) == 0
        if not is_power or not 8 <= alignment <= 2**16:
            raise damaged(
                self.path, f"{ALIGNMENT} must be a power of 2 from 8 to 65536; got {alignment!r}"
            )
        start = padded(self.cursor.position, alignment)
        tensors, end = {}, 0
        for name, kind, shape, offset in infos:
            if name in tensors:
                raise damaged(self.path, f"the tensor {name!r} is there twice")
            if offset != padded(end, alignment):
                raise damaged(
                    self.path, f"{name!r} must lie at {padded(end, alignment)}; got {offset}"
                )
            tensors[name] = Tensor(kind, shape, start + offset)
            end = offset + BLOCKS[kind].num_bytes(shape)
        held = self.size - start
        if tensors and not end <= held <= padded(end, alignment):
            what = "is cut short" if held < end else "has bytes that belong to no tensor"
            raise damaged(self.path, f"it {what}: {end} bytes of tensors expected, got {held}")
        if not tensors:
            raise damaged(self.path, "it has no tensors")
        return tensors


class Cursor:
    """Reads a file from its start on, never more than it has or a header may take."""

    def __init__(self, file, size, path):
        self.file = file
        self.size = min(size, MAX_BYTES)
        self.reason = "it is cut short" if size <= MAX_BYTES else f"its header is over {MAX_BYTES}"
        self.path = path
        self.data = bytearray()
        self.position = 0

    def advance(self, count, what):
        """Go on by `count` bytes; returns where they start in `data`, which then has them."""
        start, self.position = self.position, self.position + count
        if self.position > self.size:
            raise damaged(self.path, f"{what} needs {count} bytes, but {self.reason}")
        while len(self.data) < self.position:
            more = self.file.read(min(CHUNK, self.size - len(self.data)))
            if not more:
                raise damaged(self.path, "it was cut short while it was read")
            self.data += more
        return start

    def take(self, count, what):
        start = self.advance(count, what)
        return bytes(self.data[start : self.position])

    def number(self, form, what):
        start = self.advance(struct.calcsize(form), what)
        return struct.unpack_from(form, self.data, start)[0]

    def count(self, what, limit, size):
        """How many there are, of which each takes at least `size` bytes."""
        count = self.number("<Q", f"the number of {what}")
        if count > limit:
            raise damaged(self.path, f"there must be at most {limit} {what}; got {count}")
        if count * size > self.size - self.position:
            raise damaged(self.path, f"{count} {what} do not fit into it")
        return count

    def text(self, what, limit):
        length = self.number("<Q", what)
        if length > limit:
            raise damaged(self.path, f"{what} must be at most {limit} bytes; got {length}")
        return self.decoded(self.take(length, what), what)

    def texts(self, count, what):
        texts = []
        for _ in range(count):
            length = self.number("<Q", what)
            start = self.advance(length, what)
            texts.append(self.decoded(self.data[start : start + length], what))
        return texts

    def decoded(self, data, what):
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise damaged(self.path, f"{what} must be UTF-8") from None


def padded(place, alignment):
    return -(-place // alignment) * alignment
