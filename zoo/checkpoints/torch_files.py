"""Files of `torch.save` with a dict of tensors, as NumPy arrays: without PyTorch, and safely.

    archive/data.pkl     a pickle of names, shapes and places
    archive/data/0       the numbers of the first storage, and so on

https://docs.pytorch.org/docs/stable/notes/serialization.html#torch-save
"""

import io
import math
import zipfile
from pathlib import PurePosixPath

import numpy as np

from zoo import weights as weight_files
from zoo.checkpoints import pickles

PICKLE_NAME = "data.pkl"


def read_tensors(data, source):
    """The tensors of a state dict that `torch.save` wrote (PyTorch 1.6 or later).

    Args:
        data: bytes, the contents of the file.
        source: what to call it in errors.

    Returns:
        `{name: array}`.

    Raises:
        ValueError: damaged, of the older format, or anything but a flat dict of dense tensors.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return Archive(archive, source).tensors()
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(
            f"{source} must be a zip file, as torch.save writes since PyTorch 1.6: {error}. "
            "Save it again with a newer one, or fetch it again."
        ) from None


class Archive:
    """An open zip file of `torch.save`."""

    def __init__(self, archive, source):
        self.archive = archive
        self.source = source
        self.storages = {}
        self.members = {member.filename: member for member in archive.infolist()}
        found = [name for name in self.members if PurePosixPath(name).name == PICKLE_NAME]
        if len(found) != 1 or len(self.members) < len(archive.infolist()):
            raise weight_files.damaged(source, f"it must hold one {PICKLE_NAME}, and no name twice")
        self.root = PurePosixPath(found[0]).parent
        # torch.save does not compress; what does not can hold no more than its own size.
        if sum(member.file_size for member in self.members.values()) > archive.fp.seek(0, 2):
            raise weight_files.damaged(source, "its members are larger than the file")

    def tensors(self):
        if self.member("byteorder", b"little") != b"little":
            raise ValueError(f"{self.source} must be little-endian. Save it on another machine.")
        contents = pickles.read(self.member(PICKLE_NAME), f"{self.source}: {PICKLE_NAME}")
        if type(contents) is not dict or not contents:
            raise ValueError(
                f"{self.source} must hold a state dict, names with tensors; got "
                f"{type(contents).__name__}. Save it with torch.save(model.state_dict(), path)."
            )
        for name, view in contents.items():
            if type(name) is not str or type(view) is not pickles.TensorView:
                raise ValueError(
                    f"{self.source} must hold tensors alone under their names; "
                    f"{str(name)[:80]!r} is a {type(view).__name__}."
                )
        return {name: self.tensor(name, view) for name, view in contents.items()}

    def member(self, name, default=None):
        path = str(self.root / name)
        if path not in self.members:
            if default is None:
                raise weight_files.damaged(self.source, f"{path[:80]!r} is missing")
            return default
        return self.archive.read(path)

    def tensor(self, name, view):
        """The array of a tensor, in memory of its own."""
        storage, offset, shape, strides = view
        numbers = self.storage(storage) if type(storage) is pickles.Storage else None
        sizes = (shape, strides, [offset])
        if numbers is None or not all(map(is_sizes, sizes)) or len(shape) != len(strides):
            raise weight_files.damaged(self.source, f"{name[:80]!r} is no tensor")
        count = math.prod(shape)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        # A stride of 0 would make any size of few numbers.
        if count > numbers.size or (count and last >= numbers.size):
            raise weight_files.damaged(
                self.source, f"{name[:80]!r} reaches beyond the {numbers.size} numbers it is in"
            )
        steps = [step * numbers.itemsize for step in strides]
        part = np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False)
        return part.copy() if count else np.empty(shape, numbers.dtype)

    def storage(self, storage):
        """The numbers of a storage, which tensors may share; read once."""
        key, code, count = storage
        if type(key) is not str or not is_sizes([count]):
            raise weight_files.damaged(self.source, "a storage has no name or size")
        if (key, code) not in self.storages:
            dtype = weight_files.DTYPES[code]
            data = self.member(f"data/{key}")
            if len(data) != count * dtype.itemsize:
                raise weight_files.damaged(
                    self.source, f"storage {key[:80]!r} must hold {count} numbers of {dtype}"
                )
            self.storages[key, code] = np.frombuffer(data, dtype)
        return self.storages[key, code]


def is_sizes(values):
    return isinstance(values, (list, tuple)) and all(
        type(n) is int and 0 <= n < 2**48 for n in values
    )
