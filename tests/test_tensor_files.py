"""Weights in every format: the same tensors by the same names, one in memory at a time."""

import io
import json
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from benchmarks.hostile.torch_zip import torch_zip
from zoo.checkpoints.formats import gguf
from zoo.checkpoints.formats.opening import open_tensors
from zoo.checkpoints.formats.torch_files import TorchFile
from zoo.tensors import InMemory, Tensors, write_folder, writing

pytestmark = pytest.mark.backend_free

RNG = np.random.default_rng(0)
ARRAYS = {
    "model.embed.weight": RNG.normal(size=(32, 8)).astype("float32"),
    "model.norm.weight": np.ones(8, "float32"),
    "head.weight": RNG.normal(size=(4, 8)).astype("float32"),
}
OTHER_DTYPES = {
    "halves": RNG.normal(size=(3, 2)).astype("float16"),
    "bfloat16": RNG.normal(size=(3, 2)).astype(ml_dtypes.bfloat16),
    "doubles": RNG.normal(size=3),
    "longs": np.array([[2**40]]),
    "bytes": np.arange(5, dtype="uint8"),
    "flags": np.array([True, False, True]),
    "scalar": np.float32(3),
    "nothing": np.zeros((0, 4), "float32"),
}


def sharded_bin(folder, arrays):
    """As transformers wrote them before safetensors."""
    places = {}
    for i, (name, array) in enumerate(arrays.items(), 1):
        places[name] = f"pytorch_model-{i:05}-of-{len(arrays):05}.bin"
        (folder / places[name]).write_bytes(torch_zip({name: array}))
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "pytorch_model.bin.index.json").write_text(index)


def old_bin(folder, arrays):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    path = folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


WRITERS = {
    "safetensors": lambda folder, arrays: write_folder(folder, InMemory(arrays)),
    "shards": lambda folder, arrays: write_folder(folder, InMemory(arrays), 1024),
    "bin": lambda folder, arrays: (folder / "pytorch_model.bin").write_bytes(torch_zip(arrays)),
    "shards of bin": sharded_bin,
    "old bin": old_bin,
    "gguf": lambda folder, arrays: gguf.write(folder / "m.gguf", {}, InMemory(arrays)),
}


def place(folder, how):
    return folder / "m.gguf" if how == "gguf" else folder


def assert_same(tensors, arrays):
    assert set(tensors.names) == set(arrays)
    for name, array in arrays.items():
        assert tensors.shape(name) == array.shape
        assert tensors.dtype(name) == array.dtype
        read = tensors.read(name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("how", WRITERS)
def test_every_format_gives_the_same_tensors(tmp_path, how):
    WRITERS[how](tmp_path, ARRAYS)
    with open_tensors(place(tmp_path, how)) as tensors:
        assert isinstance(tensors, Tensors)
        assert_same(tensors, ARRAYS)
        for name in tensors.names:
            tensors.read(name)[...] = 0  # memory of its own
        assert_same(tensors, ARRAYS)


@pytest.mark.parametrize("how", ["safetensors", "shards"])
def test_dtypes_stay_as_they_are(tmp_path, how):
    arrays = {name: np.asarray(array) for name, array in (ARRAYS | OTHER_DTYPES).items()}
    WRITERS[how](tmp_path, arrays)
    with open_tensors(tmp_path) as tensors:
        assert_same(tensors, arrays)


@pytest.mark.parametrize("how", WRITERS)
def test_one_tensor_is_in_memory_at_a_time(tmp_path, how):
    arrays = {str(i): RNG.normal(size=(1024, 1024)).astype("float32") for i in range(8)}
    WRITERS[how](tmp_path, arrays)
    largest = 4 * 2**20
    tracemalloc.start()
    with open_tensors(place(tmp_path, how)) as tensors:
        for name in tensors.names:
            tensors.read(name)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.7 * largest  # the chunk that is read, and what pickles may be long


def test_one_tensor_is_written_at_a_time(tmp_path):
    class Made(InMemory):
        def read(self, name):
            return np.full(self.shape(name), int(name), "float32")

    none = np.broadcast_to(np.float32(0), (1024, 1024))
    made = Made({str(i): none for i in range(8)})
    for write in (
        lambda: write_folder(tmp_path, made, "10MB"),
        lambda: gguf.write(tmp_path / "m.gguf", {}, made),
    ):
        tracemalloc.start()
        write()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * 4 * 2**20
    with open_tensors(tmp_path) as tensors:
        assert [tensors.read(str(i))[0, 0] for i in range(8)] == list(range(8))


def test_the_library_reads_what_we_write_and_we_what_it_writes(tmp_path):
    arrays = ARRAYS | {k: v for k, v in OTHER_DTYPES.items() if k not in ("scalar", "bfloat16")}
    write_folder(tmp_path, InMemory(arrays))
    read = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    with open_tensors(tmp_path) as tensors:
        assert_same(tensors, arrays)


@pytest.mark.parametrize("max_shard_size", ["100KB", "5GB"])
def test_transformers_reads_what_we_write_and_we_what_it_writes(tmp_path, max_shard_size):
    pytest.importorskip("torch")
    from transformers import GPT2Config, GPT2Model

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    model = GPT2Model(GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=512, n_positions=64))
    model.save_pretrained(theirs, max_shard_size=max_shard_size)
    expected = {name: value.numpy() for name, value in model.state_dict().items()}
    with open_tensors(theirs) as tensors:
        assert_same(tensors, expected)
        ours.mkdir()
        write_folder(ours, tensors, max_shard_size)
    assert (ours / "model.safetensors").exists() == (max_shard_size == "5GB")
    model.config.save_pretrained(ours)
    for name, value in GPT2Model.from_pretrained(ours).state_dict().items():
        np.testing.assert_array_equal(value.numpy(), expected[name])


def test_shards_are_as_large_as_they_may_be(tmp_path):
    arrays = {str(i): np.zeros(n, "uint8") for i, n in enumerate((60, 40, 1, 300, 50, 50, 7))}
    assert writing.split(InMemory(arrays), 100) == [
        ["0", "1"],
        ["2"],
        ["3"],
        ["4", "5"],
        ["6"],
    ]
    write_folder(tmp_path, InMemory(arrays), 100)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_parameters": 508, "total_size": 508}
    assert len(list(tmp_path.glob("model-0000?-of-00005.safetensors"))) == 5


@pytest.mark.parametrize("size", [0, -1, "5", "GB", "5 TB", 1.5, None, "0GB", "-5GB"])
def test_a_size_must_be_one(size):
    with pytest.raises(ValueError, match=r"max_shard_size must be a number of bytes or text such"):
        writing.parse_size(size)
    assert writing.parse_size("2 gib") == 2 * 2**30


@pytest.mark.parametrize("how", ["safetensors", "gguf"])
def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch, how):
    def full_disk(self, name):
        raise OSError(28, "No space left on device")

    WRITERS[how](tmp_path, ARRAYS)
    path = place(tmp_path, how)
    file = path if path.is_file() else path / "model.safetensors"
    before = file.read_bytes()
    write = WRITERS[how]
    monkeypatch.setattr(InMemory, "read", full_disk)
    with pytest.raises(OSError, match=r"the disk is full.*Nothing was changed"):
        write(tmp_path, ARRAYS)
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == before


def test_safetensors_go_before_pickles_and_one_file_before_shards(tmp_path):
    order = ["shards of bin", "bin", "shards", "safetensors"]
    for number, how in enumerate(order):
        WRITERS[how](tmp_path, {"w": np.full((600,), number, "float32"), "v": np.ones(600, "f4")})
        with open_tensors(tmp_path) as tensors:
            assert tensors.read("w")[0] == number


def test_a_folder_without_weights_says_what_there_must_be(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there must be a model\.safetensors or a pytorch"):
        open_tensors(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must end in one of \.safetensors, \.bin, \.pt, \.pth, "):
        open_tensors(tmp_path / "model.h5")


def test_parts_of_one_storage_are_read_once():
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"part": base[1:, ::2], "turned": base.T, "row": base[2], "whole": base}
    file = io.BytesIO()
    torch.save(tensors, file)
    with TorchFile("w.pt", file) as read:
        found = []
        read.storages.read, load = lambda s: found.append(s) or load(s), read.storages.read
        for _ in range(2):
            assert_same(read, {name: tensor.numpy() for name, tensor in tensors.items()})
            read.read("whole")[...] = 0
        assert len(found) == 4  # the whole is the caller's: twice it is read again
