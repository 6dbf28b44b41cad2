"""Files of torch.save: read without PyTorch, whole or not at all, and nothing in them is run."""

import io
import os
import pickle  # noqa: TID251 (to write them)
import struct
import zipfile

import numpy as np
import pytest

from benchmarks.hostile.torch_zip import number, tensor, text, torch_zip, zip_of
from zoo.checkpoints.formats import pickles
from zoo.checkpoints.formats.torch_files import read_tensors

pytestmark = pytest.mark.backend_free

RNG = np.random.default_rng(0)
TENSORS = {
    "layer.weight": RNG.normal(size=(3, 4)).astype("float32"),
    "layer.bias": RNG.normal(size=4),
    "steps": np.array(7),
    "none": np.zeros((0, 4), "float32"),
}


class Attack:
    """Unpickled, it would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def assert_same(read, expected):
    assert list(read) == list(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_tensors_come_back():
    read = read_tensors(torch_zip(TENSORS), "weights.pt")
    assert_same(read, TENSORS)
    read["layer.bias"][0] = 1  # memory of its own


def test_what_torch_writes_is_read():
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "whole": base,
        "transposed": base.T,
        "part": base[1:, ::2],
        "shared": base[2],
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "flags": base > 3,
        "bytes": torch.arange(5, dtype=torch.uint8),
        "scalar": torch.tensor(3),
    }
    file = io.BytesIO()
    torch.save(tensors, file)
    read = read_tensors(file.getvalue(), "weights.pt")
    assert list(read) == list(tensors)
    for name, expected in tensors.items():
        assert str(read[name].dtype) == str(expected.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(read[name].astype("float32"), expected.float().numpy())
    module = torch.nn.Linear(2, 3)  # a state dict has attributes, too
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    weights = {name: value.numpy() for name, value in module.state_dict().items()}
    assert_same(read_tensors(file.getvalue(), "weights.pt"), weights)
    file = io.BytesIO()
    torch.save(module, file)
    with pytest.raises(ValueError, match=r"names 'torch\.nn\.modules\.linear\.Linear'"):
        read_tensors(file.getvalue(), "weights.pt")


@pytest.mark.parametrize("protocol", range(1, 6))
def test_a_function_is_named_and_not_called(tmp_path, protocol):
    folder = tmp_path / "made"
    data = pickle.dumps({"weight": Attack(folder)}, protocol)
    with pytest.raises(
        ValueError, match=r"^x\.pkl must hold .*, but names '\w+\.mkdir', which coul"
    ):
        pickles.read(data, "x.pkl")
    file = zip_of({"archive/data.pkl": data})
    with pytest.raises(ValueError, match=r"^w\.pt: data\.pkl must hold .*names '\w+\.mkdir'"):
        read_tensors(file, "w.pt")
    assert not folder.exists()
    pickle.loads(data)
    assert folder.exists()  # so it was an attack


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"(S'x'\nios\nsystem\n.", "STRING 'x'"),
        (b"(ios\nsystem\n.", "INST 'os system'"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x0f.", None),  # a byte array of 2**60
    ],
    ids=["string", "inst", "newobj", "extension", "bytearray"],
)
def test_instructions_that_state_dicts_do_not_have_are_refused(data, what):
    message = f"has the instruction {what}, which no such file needs" if what else "is damaged"
    with pytest.raises(ValueError, match=message):
        pickles.read(data, "x.pkl")


def test_plain_data_is_read():
    data = {"itos": ["a", "β"], "stoi": {"a": 0}, "n": [1, 300, -(2**40), 2.5, None, True, ()]}
    for protocol in (2, 3, 4, 5):
        assert pickles.read(pickle.dumps(data, protocol), "x.pkl") == data


NESTED = b"\x80\x02)" + b"\x85" * 100_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no pickle",
        b"\x80\x02}",
        b"\x80\x02h\x05.",  # memory that is not there
        b"\x80\x02.",
        b"\x80\x02}}.",
        b"\x80\x02R.",
        b"\x80\x02(R.",
        b"\x80\x02e.",
        b"\x80\x02)N\x8c\x01as.",  # items of a tuple
        b"\x80\x02}(\x8c\x01au.",  # a key alone
        b"\x80\x02}NNs.",
        b"\x80\x02\x8c\x01a)R.",
        b"\x80\x02ccollections\nOrderedDict\nN\x85R.",
        b"\x80\x02}}\x8c\x01aNsb.",
        b"\x80\x02})Q.",
        b"\x80\x02}" + NESTED[2:] + b"Ns.",  # Python itself crashes when it hashes these
        b"\x80\x02(" + text("storage") + NESTED[2:] + b"NNNtQ.",
        b"\x80\x02}" + NESTED[2:] + b"b.",
    ],
)
def test_pickles_that_make_no_sense_are_damaged(data):
    with pytest.raises(
        ValueError, match=r"^x\.pkl is damaged: it is no sound pickle \(.*\)\. Fetch"
    ):
        pickles.read(data, "x.pkl")


def test_a_large_place_in_memory_costs_none():
    data = b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b"."
    assert pickles.read(data, "x.pkl") == []
    with pytest.raises(ValueError, match=rf"must be at most {pickles.MAX_BYTES} bytes; got"):
        pickles.read(bytes(pickles.MAX_BYTES + 1), "x.pkl")


SQUARE = np.arange(9, dtype="float32").reshape(3, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"offset": 1}, r"'weight' reaches beyond the 9 numbers it is in"),
        ({"strides": [3, 2]}, r"'weight' reaches beyond the 9 numbers"),
        ({"strides": [-3, 1]}, r"'weight' is no tensor"),
        ({"strides": [3]}, r"'weight' is no tensor"),
        ({"count": 8}, r"storage '0' must hold 8 numbers of float32"),
        ({"count": -1}, r"a storage has no name or size"),
        ({"key": "1"}, r"'archive/data/1' is missing"),
        ({"key": "../data.pkl"}, r"'archive/data/\.\./data\.pkl' is missing"),
    ],
)
def test_a_tensor_stays_within_its_numbers(wrong, message):
    description = tensor(**{"key": "0", "array": SQUARE, **wrong})
    program = b"\x80\x02}" + text("weight") + description + b"s."
    file = zip_of({"archive/data.pkl": program, "archive/data/0": SQUARE.tobytes()})
    with pytest.raises(ValueError, match=f"w.pt is damaged: {message}"):
        read_tensors(file, "w.pt")


def test_few_numbers_do_not_become_many():
    class Huge:
        dtype, size, itemsize, shape = np.dtype("float32"), 9, 4, (2**31 - 1, 2**31 - 1)

    program = b"\x80\x02}" + text("weight") + tensor("0", Huge, strides=[0, 0]) + b"s."
    file = zip_of({"archive/data.pkl": program, "archive/data/0": SQUARE.tobytes()})
    with pytest.raises(ValueError, match=r"'weight' reaches beyond the 9 numbers"):
        read_tensors(file, "w.pt")
    zeros = {"archive/data.pkl": program, "archive/data/0": bytes(10**6)}
    with pytest.raises(ValueError, match=r"its members are larger than the file"):
        read_tensors(zip_of(zeros, zipfile.ZIP_DEFLATED), "w.pt")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"]", r"must hold a state dict, names with tensors; got list"),
        (b"}", r"must hold a state dict.*got dict"),
        (b"}" + text("epoch") + number(3) + b"s", r"must hold tensors alone.*'epoch' is a int"),
        (b"}" + text("model") + b"}s", r"'model' is a dict"),
        (b"}" + number(3) + b"}s", r"'3' is a dict"),
    ],
)
def test_only_a_flat_dict_of_tensors_is_read(contents, message):
    file = zip_of({"archive/data.pkl": b"\x80\x02" + contents + b"."})
    with pytest.raises(ValueError, match=message):
        read_tensors(file, "w.pt")


def test_other_files_are_refused():
    for data in (b"", b"\x80\x02}.", torch_zip(TENSORS)[:-30]):
        with pytest.raises(
            ValueError, match=r"w\.pt must be a zip file, as torch\.save writes sin"
        ):
            read_tensors(data, "w.pt")
    with pytest.raises(ValueError, match=r"it must hold one data\.pkl"):
        read_tensors(zip_of({"archive/version": b"3"}), "w.pt")
    with pytest.raises(ValueError, match=r"it must hold one data\.pkl"):
        read_tensors(zip_of({"a/data.pkl": b"", "b/data.pkl": b""}), "w.pt")
    big = torch_zip(TENSORS, lambda members: {**members, "archive/byteorder": b"big"})
    with pytest.raises(ValueError, match=r"must be little-endian"):
        read_tensors(big, "w.pt")
    little = torch_zip(TENSORS, lambda members: {**members, "archive/byteorder": b"little"})
    assert_same(read_tensors(little, "w.pt"), TENSORS)
    flipped = bytearray(torch_zip(TENSORS))
    flipped[flipped.index(TENSORS["layer.weight"].tobytes())] ^= 1
    with pytest.raises(ValueError, match=r"Bad CRC"):
        read_tensors(bytes(flipped), "w.pt")
