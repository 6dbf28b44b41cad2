"""The readers of single files, and what is no file for any of them."""

import os

from benchmarks.hostile import files, gguf
from benchmarks.hostile.row import Row
from zoo.checkpoints.formats import gguf as gguf_files
from zoo.checkpoints.formats import keras_files, sentencepiece
from zoo.checkpoints.formats.opening import open_tensors


def read_all(path):
    with open_tensors(path) as tensors:
        return {name: tensors.read(name) for name in tensors.names}


def read_hdf5(path):
    return keras_files.read_arrays(path.read_bytes(), path)


def read_spm(path):
    return sentencepiece.to_json(sentencepiece.read(path))


READERS = {  # by the name of a file
    "model.safetensors": (read_all, files.SAFETENSORS),
    "pytorch_model.bin": (read_all, files.TORCH),
    "weights.h5": (read_hdf5, files.HDF5),
    "model.gguf": (read_all, gguf.GGUF),
    "spiece.model": (read_spm, gguf.SPM_FILES),
}
NO_FILE = "must be a file, not a folder, a pipe or a device"


def written(name, data):
    def make(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return make


def linked(name, target):
    def make(folder):
        (folder / name).symlink_to(folder / target if target else name)
        return folder / name

    return make


def piped(name):
    def make(folder):
        os.mkfifo(folder / name)
        return folder / name

    return make


def shards(data):
    """Two shards, an index beside them, and a file outside of their folder."""

    def make(folder):
        inner = folder / "folder"
        inner.mkdir()
        for name, contents in {files.INDEX: data, **files.SHARDS}.items():
            (inner / name).write_bytes(contents)
        (folder / "secret.safetensors").write_bytes(files.SHARDS[files.A])
        return inner

    return make


def two_shards(first, second, weight_map):
    def make(folder):
        for name, contents in ((files.A, first), (files.B, second)):
            (folder / name).write_bytes(contents)
        (folder / files.INDEX).write_bytes(files.index(weight_map))
        return folder

    return make


ONCE = files.safetensors({"w": files.entry()})
BOTH = files.safetensors({"v": files.entry(), "w": files.entry(data_offsets=[24, 48])}, bytes(48))


def outside(folder):
    """A link that leaves the folder, for what is no blob of the hub's cache."""
    inner = folder / "snapshots" / "abc"
    inner.mkdir(parents=True)
    (folder / "secret").write_bytes(ONCE)
    (inner / "model.safetensors").symlink_to("../../secret")
    return inner


def no_files():
    for name, (read, _) in READERS.items():
        if read is read_hdf5:  # of bytes
            continue
        yield Row(name, "nothing there", lambda f, n=name: f / n, read, "No file at|has no", name)
        yield Row(name, "a pipe", piped(name), read, NO_FILE, name)
        yield Row(name, "a device", linked(name, "/dev/zero"), read, NO_FILE, name)
        yield Row(name, "a link to itself", linked(name, None), read, "cannot be read", name)
        suffix = name.rsplit(".", 1)[-1]
        wrong = {"a long name": f"{'n' * 300}.{suffix}", "a zero in the name": f"a\0b.{suffix}"}
        for case, text in wrong.items():  # of a long one the start is named
            start = text[:3] if len(text) > 255 else suffix
            yield Row(name, case, lambda f, t=text: f / t, read, "cannot be read", start)


def tokenizer_of(change):
    changed = {f"tokenizer.ggml.{key}": value for key, value in change.items()}
    return {k: v for k, v in (gguf.TOKENIZER | changed).items() if v is not None}


ROWS = (
    *(
        Row(name, case, written(name, data), read, message, name)
        for name, (read, table) in READERS.items()
        for case, (data, message) in table.items()
    ),
    *no_files(),
    *(
        Row("index of shards", case, shards(data), read_all, message, files.INDEX)
        for case, (data, message) in files.INDICES.items()
    ),
    Row(
        "index of shards",
        "a tensor that is elsewhere",
        two_shards(ONCE, ONCE, {"w": files.A, "v": files.B}),
        read_all,
        "'v' is not in",
        files.INDEX,
    ),
    Row(
        "index of shards",
        "a tensor in two",
        two_shards(ONCE, BOTH, {"w": files.A, "v": files.B}),
        read_all,
        f"'w' of '{files.B}' is in '{files.A}', too",
        files.INDEX,
    ),
    Row("model.safetensors", "a link outside", outside, read_all, "leaves it", "model.safetensors"),
    *(
        Row(
            "tokenizer in GGUF",
            case,
            lambda folder, change=change: tokenizer_of(change),
            lambda metadata: gguf_files.read_tokenizer(metadata, "model.gguf"),
            message,
            "model.gguf",
            (ValueError,),
        )
        for case, (change, message) in gguf.TOKENIZERS.items()
    ),
)
