"""Files that change, are cut or mutate; those that lie are in `benchmarks.hostile`."""

import io
import os
import time

import numpy as np
import pytest

from benchmarks.hostile import files as cases
from benchmarks.hostile import gguf as hostile_gguf
from benchmarks.hostile.check import MEGABYTES, peak
from benchmarks.hostile.readers import READERS, read_all
from zoo.checkpoints.formats.opening import open_tensors
from zoo.checkpoints.formats.torch_files import read_tensors

pytestmark = pytest.mark.backend_free

SECONDS = 2.0  # of the processor: twice what it may take, since others may be at work


def test_a_link_to_a_blob_of_the_hub_is_followed(tmp_path):
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    for made in (blobs, folder):
        made.mkdir(parents=True)
    (blobs / "123").write_bytes(cases.SHARDS[cases.A])
    (folder / "model.safetensors").symlink_to("../../blobs/123")
    assert list(read_all(folder)) == ["w"]


def test_very_many_tensors_take_no_time(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(cases.safetensors(cases.MANY, b""))
    start, least = time.process_time(), peak()
    with open_tensors(path) as tensors:
        assert len(tensors.names) == len(cases.MANY)
    assert time.process_time() - start < SECONDS
    assert peak() - least < MEGABYTES


SOUND = {
    "model.safetensors": cases.safetensors(
        {"w": cases.entry(), "v": cases.entry(data_offsets=[24, 48])}, bytes(48)
    ),
    "model.gguf": hostile_gguf.SOUND_GGUF,
}


@pytest.mark.parametrize("name", SOUND)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(SOUND[name])
    with open_tensors(path) as tensors:
        os.truncate(path, len(SOUND[name]) - 40)
        with pytest.raises(ValueError, match="is damaged"):
            tensors.read(tensors.names[-1])
    path.write_bytes(SOUND[name])
    with open_tensors(path) as tensors:  # another file by that name is not looked at
        (tmp_path / "other").write_bytes(b"")
        os.replace(tmp_path / "other", path)
        for tensor in tensors.names:
            assert not tensors.read(tensor).any()


# Mutants


def torch_sound():
    return cases.torch_zip({"w": np.arange(6.0).reshape(2, 3), "v": np.arange(3)})


def hdf5_sound():
    return cases.hdf5(lambda group: group.create_dataset("a/b", data=np.arange(6.0)))


def spm_sound():
    pieces = [hostile_gguf.UNK, *(hostile_gguf.piece(c, -1.0) for c in "abcdefgh\u2581")]
    pieces += [hostile_gguf.piece(c, -2.0) for c in ("ab", "abc", "\u2581de")]
    settings = hostile_gguf.field(3, 2) + hostile_gguf.field(40, 0)
    units = [0x400, *[0] * 511]
    return hostile_gguf.spm(pieces, settings, hostile_gguf.charsmap(units))


def shards_sound():
    return cases.index({"w": cases.A, "v": cases.B})


ORIGINALS = {
    **SOUND,
    "pytorch_model.bin": torch_sound(),
    "weights.h5": hdf5_sound(),
    "spiece.model": spm_sound(),
    cases.INDEX: shards_sound(),
}
BOUNDARIES = [0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def mutant(data, rng):
    """Bytes that differ somewhere: bits, numbers, parts left out, doubled or exchanged."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        place, length = int(rng.integers(len(data))), int(rng.integers(1, 9))
        kind = rng.integers(6)
        if kind <= 1:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            number = int(rng.choice(len(BOUNDARIES)))
            data[place : place + 8] = BOUNDARIES[number].to_bytes(8, "little")
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = data[place : place + length]
        else:
            other = int(rng.integers(len(data)))
            data[place : place + length] = data[other : other + length]
        if not data:
            break
    return bytes(data)


def outcome(read, path):
    """`(what was read, why it was not)`; anything but a clear error is one of the test's."""
    try:
        return read(path), None
    except (ValueError, FileNotFoundError) as error:
        return None, str(error)


@pytest.mark.parametrize("name", ORIGINALS)
def test_mutants_are_refused_or_read(tmp_path, name, request):
    count = 10_000 if request.config.getoption("everywhere") else 500
    rng = np.random.default_rng(0)
    path = tmp_path / name
    read, _ = READERS.get(name, (lambda path: read_all(path.parent), None))
    for shard, contents in cases.SHARDS.items():
        (tmp_path / shard).write_bytes(contents)
    path.write_bytes(ORIGINALS[name])
    original = read(path)
    refused = 0
    for _ in range(count):
        data = mutant(ORIGINALS[name], rng)
        path.write_bytes(data)
        start = time.process_time()
        found, error = outcome(read, path)
        assert time.process_time() - start < SECONDS
        refused += error is not None
        if error is not None:
            assert name in error, (data, error)
            assert len(error) < 1500, error
        elif name == "pytorch_model.bin":  # its parts have checksums
            assert str(found) == str(original), data
    assert refused > count / 10
    path.write_bytes(ORIGINALS[name])
    assert str(read(path)) == str(original)


def test_a_cut_anywhere_is_refused(tmp_path):
    for name, data in ORIGINALS.items():
        if name == cases.INDEX:
            continue
        read, _ = READERS[name]
        for size in range(0, len(data), 7):
            path = tmp_path / name
            path.write_bytes(data[:size])
            with pytest.raises(ValueError, match=name):
                read(path)


def test_an_old_file_cut_anywhere_is_refused():
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"w": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    data = file.getvalue()
    assert read_tensors(data, "w.bin")["w"].tolist() == [1, 1, 1]
    for size in range(0, len(data), 3):
        with pytest.raises(ValueError, match=r"w\.bin"):
            read_tensors(data[:size], "w.bin")
    with pytest.raises(ValueError, match="bytes that belong to no tensor"):
        read_tensors(data + b"\0", "w.bin")
