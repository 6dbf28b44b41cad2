"""Files of `torch.save` with a dict of tensors, as NumPy arrays: without PyTorch, and safely.

    archive/data.pkl     a pickle of names, shapes and places
    archive/data/0       the numbers of the first storage, and so on

Before PyTorch 1.6 they were no zip files, but pickles and numbers one after the other. Numbers are
read from the file storage by storage, as they are asked for.

https://docs.pytorch.org/docs/stable/notes/serialization.html#torch-save
"""

import io
import math

import numpy as np

from zoo.checkpoints.formats import pickles
from zoo.checkpoints.formats.torch_storages import is_sizes, num_bytes, open_storages
from zoo.tensors import Tensors, checks
from zoo.tensors.checks import damaged
from zoo.tensors.dtypes import DTYPES

MAX_SHARING = 8  # how many times the numbers of a file its tensors may be, where they share them


def read_tensors(data, source):
    """The tensors of a state dict that `torch.save` wrote.

    Args:
        data: bytes, the contents of the file.
        source: what to call it in errors.

    Returns:
        `{name: array}`.

    Raises:
        ValueError: damaged, or anything but a flat dict of dense tensors.
    """
    with TorchFile(source, io.BytesIO(data)) as tensors:
        return {name: tensors.read(name) for name in tensors.names}


class TorchFile(Tensors):
    """The tensors of a state dict that `torch.save` wrote.

    Args:
        path: of the file.
        file: what holds its bytes, if it is open already; `path` is then its name in errors.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or anything but a flat dict of dense tensors.
    """

    def __init__(self, path, file=None):
        self.path = path
        self.file = checks.open_regular(path) if file is None else file
        self.last = None, None  # a storage that several tensors may be parts of, and its numbers
        try:
            self.storages = open_storages(self.file, path)
            self.views = self.checked(self.storages.contents)
        except BaseException:
            self.close()
            raise
        self.names = tuple(self.views)

    def checked(self, contents):
        """`{name: pickles.TensorView}`, each of which lies within its storage."""
        if type(contents) is not dict or not contents:
            raise ValueError(
                f"{self.path} must hold a state dict, names with tensors; got "
                f"{type(contents).__name__}. Save it with torch.save(model.state_dict(), path)."
            )
        for name, view in contents.items():
            if type(name) is not str or type(view) is not pickles.TensorView:
                raise ValueError(
                    f"{self.path} must hold tensors alone under their names; "
                    f"{str(name)[:80]!r} is a {type(view).__name__}."
                )
            check_kind(name, view, self.path)
            self.storages.check(view.storage)
            check_reach(name, view, self.path)
            checks.check_tensor(name, view.shape, self.path)
        views = contents.values()
        held = sum(map(num_bytes, {view.storage.key: view.storage for view in views}.values()))
        asked = sum(math.prod(v.shape) * DTYPES[v.storage.dtype].itemsize for v in views)
        if asked > MAX_SHARING * held:
            raise damaged(self.path, f"its tensors are {asked} bytes, made of {held}")
        return contents

    def shape(self, name):
        return tuple(self.views[name].shape)

    def dtype(self, name):
        return DTYPES[self.views[name].storage.dtype]

    def read(self, name):
        storage, offset, shape, strides = self.views[name]
        count = math.prod(shape)
        if not count:
            return np.empty(shape, DTYPES[storage.dtype])
        if storage == self.last[0]:
            numbers = self.last[1]
        else:
            self.last = None, None  # so that there are never two
            numbers = self.storages.read(storage)
        if count == storage.count and is_in_order(shape, strides):
            self.last = None, None  # from now on they are the caller's
            return numbers.reshape(shape)
        self.last = storage, numbers
        steps = [step * numbers.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps).copy()

    def close(self):
        self.last = None, None
        self.file.close()


def check_kind(name, view, source):
    """Refuse a tensor whose parts are none of a tensor's."""
    storage, offset, shape, strides = view
    is_tensor = type(storage) is pickles.Storage and all(map(is_sizes, (shape, strides, [offset])))
    if not is_tensor or len(shape) != len(strides):
        raise damaged(source, f"{name[:80]!r} is no tensor")
    if type(storage.key) is not str or not is_sizes([storage.count]):
        raise damaged(source, "a storage has no name or size")


def check_reach(name, view, source):
    """Refuse a tensor that reaches beyond the numbers it is in."""
    storage, offset, shape, strides = view
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # A stride of 0 would make any size of few numbers.
    if count > storage.count or (count and last >= storage.count):
        raise damaged(source, f"{name[:80]!r} reaches beyond the {storage.count} numbers it is in")


def is_in_order(shape, strides):
    """Whether a tensor's numbers lie as NumPy's own would."""
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != step:
            return False
        step *= size
    return True
