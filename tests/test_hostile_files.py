"""Files that lie are refused: soon, in little memory, naming the file and what is wrong in it."""

import io
import os
import resource
import sys
import time

import numpy as np
import pytest

from tests import hostile_cases as cases
from tests import hostile_gguf
from zoo.checkpoints.formats import gguf, keras_files, sentencepiece
from zoo.checkpoints.formats.opening import open_tensors
from zoo.checkpoints.formats.torch_files import read_tensors

pytestmark = pytest.mark.backend_free

SECONDS = 2.0  # of the processor: twice what it may take, since others may be at work
MEGABYTES = 200


def read_all(path):
    with open_tensors(path) as tensors:
        return {name: tensors.read(name) for name in tensors.names}


def read_hdf5(path):
    return keras_files.read_arrays(path.read_bytes(), path)


def read_spm(path):
    return sentencepiece.to_json(sentencepiece.read(path))


READERS = {
    "model.safetensors": (read_all, cases.SAFETENSORS),
    "pytorch_model.bin": (read_all, cases.TORCH),
    "weights.h5": (read_hdf5, cases.HDF5),
    "model.gguf": (read_all, hostile_gguf.GGUF),
    "spiece.model": (read_spm, hostile_gguf.SPM_FILES),
}
ALL = [(name, case) for name, (_, table) in READERS.items() for case in table]


def refuse(read, path, message, error=ValueError):
    """It is refused as it must be."""
    before = sorted(path.parent.rglob("*"))
    peak, start = peak_megabytes(), time.process_time()
    with pytest.raises(error, match=message) as caught:
        read(path)
    assert time.process_time() - start < SECONDS
    assert peak_megabytes() - peak < MEGABYTES
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert sorted(path.parent.rglob("*")) == before


def peak_megabytes():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@pytest.mark.parametrize(("name", "case"), ALL)
def test_a_file_that_lies_is_refused(tmp_path, name, case):
    read, table = READERS[name]
    data, message = table[case]
    path = tmp_path / name
    path.write_bytes(data)
    refuse(read, path, message)


@pytest.mark.parametrize("case", cases.INDICES)
def test_an_index_that_lies_is_refused(tmp_path, case):
    folder = tmp_path / "folder"
    folder.mkdir()
    data, message = cases.INDICES[case]
    for name, contents in {cases.INDEX: data, **cases.SHARDS}.items():
        (folder / name).write_bytes(contents)
    (tmp_path / "secret.safetensors").write_bytes(cases.SHARDS[cases.A])
    refuse(lambda path: read_all(path.parent), folder / cases.INDEX, message, Exception)


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    twice = cases.safetensors({"w": cases.entry()})
    for name in (cases.A, cases.B):
        (tmp_path / name).write_bytes(twice)
    (tmp_path / cases.INDEX).write_bytes(cases.index({"w": cases.A, "v": cases.B}))
    refuse(lambda path: read_all(path.parent), tmp_path / cases.INDEX, "'v' is not in")
    both = cases.safetensors(
        {"v": cases.entry(), "w": cases.entry(data_offsets=[24, 48])}, bytes(48)
    )
    (tmp_path / cases.B).write_bytes(both)
    message = f"'w' of '{cases.B}' is in '{cases.A}', too"
    refuse(lambda path: read_all(path.parent), tmp_path / cases.INDEX, message)


@pytest.mark.parametrize("case", hostile_gguf.TOKENIZERS)
def test_a_tokenizer_in_gguf_that_lies_is_refused(case):
    change, message = hostile_gguf.TOKENIZERS[case]
    changed = {f"tokenizer.ggml.{key}": value for key, value in change.items()}
    metadata = {k: v for k, v in (hostile_gguf.TOKENIZER | changed).items() if v is not None}
    with pytest.raises(ValueError, match=message) as caught:
        gguf.read_tokenizer(metadata, "model.gguf")
    assert "model.gguf" in str(caught.value)
    gguf.read_tokenizer(hostile_gguf.TOKENIZER, "model.gguf")


@pytest.mark.parametrize("name", [name for name in READERS if name != "weights.h5"])
def test_what_is_no_file_is_refused(tmp_path, name):
    read, _ = READERS[name]
    path = tmp_path / name
    refuse(read, path, "No file at|has no weights", FileNotFoundError)
    os.mkfifo(path)
    refuse(read, path, "must be a file, not a folder, a pipe or a device")
    path.unlink()
    path.symlink_to("/dev/zero")
    refuse(read, path, "must be a file, not a folder, a pipe or a device")
    path.unlink()
    path.symlink_to(path)
    refuse(read, path, "cannot be read")
    for wrong in (tmp_path / f"{'n' * 300}{path.suffix}", tmp_path / f"a\0b{path.suffix}"):
        with pytest.raises(ValueError, match="cannot be read"):
            read(wrong)


def test_a_link_may_not_leave_the_folder_but_for_the_hubs_blobs(tmp_path):
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    for made in (blobs, folder):
        made.mkdir(parents=True)
    (blobs / "123").write_bytes(cases.SHARDS[cases.A])
    (folder / "model.safetensors").symlink_to("../../blobs/123")
    assert list(read_all(folder)) == ["w"]
    (tmp_path / "secret").write_bytes(cases.SHARDS[cases.A])
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../secret")
    refuse(lambda path: read_all(path.parent), folder / "model.safetensors", "leaves it")


def test_very_many_tensors_take_no_time(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(cases.safetensors(cases.MANY, b""))
    start, peak = time.process_time(), peak_megabytes()
    with open_tensors(path) as tensors:
        assert len(tensors.names) == len(cases.MANY)
    assert time.process_time() - start < SECONDS
    assert peak_megabytes() - peak < MEGABYTES


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
