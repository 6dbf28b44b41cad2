"""Where `torch.save` puts the numbers of tensors: members of a zip file, or one after the other."""

import io
import os
import zipfile
import zlib
from pathlib import PurePosixPath

import numpy as np

from zoo.checkpoints.formats import pickles
from zoo.tensors import checks
from zoo.tensors.checks import CHUNK, damaged
from zoo.tensors.dtypes import DTYPES, as_bytes

PICKLE_NAME = "data.pkl"
MAX_READ = 8 * 2**20  # of the list of a zip file's members, which is read at once
SPECIAL_FLAGS = 0x1 | 0x20 | 0x40  # of a zip's member: encrypted, patched
OLD_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
OLD_VERSION = 1001


def open_storages(file, source):
    """The storages of a file, by what it begins with.

    Args:
        file: open, to read.
        source: what to call it in errors.

    Returns:
        A `ZipFile` or an `OldFile`, with the contents of its pickle as `contents`.

    Raises:
        ValueError: damaged, of another format, or with what could run code.
    """
    start = file.read(16)
    checks.check_is(start, b"PK\x03\x04" if start.startswith(b"PK") else start[:2], source)
    is_old = start.startswith(b"\x80") and OLD_MAGIC.to_bytes(10, "little") in start
    return (OldFile if is_old else ZipFile)(file, source)


class ZipFile:
    """The storages of a zip file.

    Args:
        file: open, to read.
        source: what to call it in errors.

    Attributes:
        contents: of its pickle.
    """

    def __init__(self, file, source):
        self.source = source
        try:
            self.archive = zipfile.ZipFile(Bounded(file))
        except (*ZIP_ERRORS, ValueError) as error:
            raise self.no_zip(error) from None
        members = self.archive.infolist()
        self.members = {member.filename: member for member in members}
        found = [name for name in self.members if PurePosixPath(name).name == PICKLE_NAME]
        if len(found) != 1 or len(self.members) < len(members):
            raise damaged(source, f"it must hold one {PICKLE_NAME}, and no name twice")
        self.root = PurePosixPath(found[0]).parent
        # torch.save does not compress; what does not can hold no more than its own size.
        if sum(member.file_size for member in members) > file.seek(0, os.SEEK_END):
            raise damaged(source, "its members are larger than the file")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & SPECIAL_FLAGS:
                raise damaged(
                    source, f"{member.filename[:80]!r} is compressed or encrypted, which none is"
                )
        order = "byteorder"
        if self.path(order) in self.members and self.text(order) != b"little":
            raise ValueError(f"{source} must be little-endian. Save it on another machine.")
        self.contents = pickles.read(self.text(PICKLE_NAME), f"{source}: {PICKLE_NAME}")

    def path(self, name):
        return str(self.root / name)

    def member(self, name):
        path = self.path(name)
        if path not in self.members:
            raise damaged(self.source, f"{path[:80]!r} is missing")
        return self.members[path]

    def text(self, name):
        member = self.member(name)
        if member.file_size > pickles.MAX_BYTES:
            raise ValueError(
                f"{self.source}: {name} must be at most {pickles.MAX_BYTES} bytes; got "
                f"{member.file_size}."
            )
        data = bytearray(member.file_size)
        self.read_into(member, memoryview(data))
        return bytes(data)

    def check(self, storage):
        """Refuse a storage that has not as many numbers as it says."""
        if self.member(f"data/{storage.key}").file_size != num_bytes(storage):
            raise wrong_size(storage, self.source)

    def read(self, storage):
        """The numbers of a storage."""
        numbers = np.empty(storage.count, DTYPES[storage.dtype])
        self.read_into(self.member(f"data/{storage.key}"), memoryview(as_bytes(numbers)))
        return numbers

    def read_into(self, member, memory):
        """Fill memory from a member, a chunk at a time; its checksum is compared at the end."""
        try:
            with self.archive.open(member) as file:
                start = 0
                while chunk := file.read(CHUNK):
                    memory[start : start + len(chunk)] = chunk
                    start += len(chunk)
        except (*ZIP_ERRORS, ValueError) as error:
            raise self.no_zip(error) from None
        if start != len(memory):
            raise damaged(self.source, f"{member.filename[:80]!r} is cut short")

    def no_zip(self, error):
        return ValueError(
            f"{self.source} must be a zip file, as torch.save writes since PyTorch 1.6: "
            f"{str(error)[:200]}. Save it again with a newer one, or fetch it again."
        )


ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, OverflowError, LookupError),
)


class Bounded:
    """A file of which `zipfile` may read only so much at once: it would trust any list's length."""

    def __init__(self, file):
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count=-1):
        data = self.file.read(min(count, MAX_READ + 1) if count >= 0 else MAX_READ + 1)
        if len(data) > MAX_READ:
            raise zipfile.BadZipFile(f"its list of members is over {MAX_READ} bytes")
        return data


class OldFile:
    """The storages of a file from before PyTorch 1.6: pickles, then each storage with its size.

    Args:
        file: open, to read.
        source: what to call it in errors.

    Attributes:
        contents: of the pickle with the tensors.
    """

    def __init__(self, file, source):
        self.file = file
        self.source = source
        file.seek(0)
        start = io.BytesIO(file.read(pickles.MAX_BYTES))
        magic, version, system, self.contents, keys = (
            pickles.read(start, source) for _ in range(5)
        )
        is_known = magic == OLD_MAGIC and version == OLD_VERSION and type(system) is dict
        if not is_known or system.get("little_endian") is not True:
            raise ValueError(f"{source} must be little-endian and of version {OLD_VERSION}.")
        sizes = self.sizes()
        if type(keys) is not list or not all(type(key) is str and key in sizes for key in keys):
            raise damaged(source, "its list of storages is not that of its tensors")
        self.places, place = {}, start.tell()
        for key in keys:
            self.places[key] = place + 8  # after the number of numbers
            place += 8 + sizes[key]
        if len(self.places) < len(keys) or place != file.seek(0, os.SEEK_END):
            raise damaged(source, "it is cut short, or has bytes that belong to no tensor")

    def sizes(self):
        """`{storage: bytes}` of those that tensors lie in."""
        contents = self.contents if type(self.contents) is dict else {}
        views = [view for view in contents.values() if type(view) is pickles.TensorView]
        storages = [view.storage for view in views if type(view.storage) is pickles.Storage]
        return {s.key: num_bytes(s) for s in storages if type(s.key) is str and is_sizes([s.count])}

    def check(self, storage):
        if storage.key not in self.places:
            raise damaged(self.source, f"storage {storage.key[:80]!r} is missing")
        self.file.seek(self.places[storage.key] - 8)
        if int.from_bytes(self.file.read(8), "little") != storage.count:
            raise wrong_size(storage, self.source)

    def read(self, storage):
        numbers = np.empty(storage.count, DTYPES[storage.dtype])
        self.file.seek(self.places[storage.key])
        if self.file.readinto(as_bytes(numbers)) < numbers.nbytes:
            raise damaged(self.source, "it was cut short while it was read")
        return numbers


def num_bytes(storage):
    return storage.count * DTYPES[storage.dtype].itemsize


def wrong_size(storage, source):
    dtype = DTYPES[storage.dtype]
    return damaged(
        source, f"storage {storage.key[:80]!r} must hold {storage.count} numbers of {dtype}"
    )


def is_sizes(values):
    return (
        isinstance(values, (list, tuple))
        and len(values) <= checks.MAX_RANK
        and all(type(n) is int and 0 <= n < 2**48 for n in values)
    )
