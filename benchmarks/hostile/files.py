"""Files that lie, a table for each format: `{case: (bytes, what the error must say)}`."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np

from benchmarks.hostile.torch_zip import number, tensor, text, torch_zip, zip_of

ZEROS = np.zeros((2, 3), "float32")
NAMES = {"parent": "a/../b", "root": "/a", "zero": "a\0b", "long": "n" * 10_000, "empty": ""}


# Safetensors


def entry(**changes):
    return {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **changes}


def safetensors(header, data=bytes(24)):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data


OTHERS = {
    "a pickle": (b"\x80\x02}." + bytes(40), "is a pickle"),
    "a zip": (torch_zip({"w": ZEROS}), "is a zip file"),
    "an hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "is an HDF5 file"),
    "a gguf": (b"GGUF" + bytes(40), "is a GGUF file"),
}

SAFETENSORS = {
    "empty": (b"", "cut short"),
    "short": (bytes(7), "cut short"),
    "header alone": (safetensors({"w": entry()}, b""), "cut short"),
    "cut data": (safetensors({"w": entry()}, bytes(23)), "cut short"),
    "header longer than the file": (struct.pack("<Q", 99) + b"{}", "cut short"),
    "header over the bound": (struct.pack("<Q", 2**22 + 1) + bytes(2**22 + 1), "header of 4194305"),
    "header of 2**63": (struct.pack("<Q", 2**63) + b"{}", "cut short"),
    "not utf-8": (safetensors(b'{"\xff": 1}'), "JSON is not valid"),
    "deep": (safetensors(b'{"w":' + b"[" * 100_000), "JSON is not valid"),
    "no object": (safetensors(b"[]"), "must be an object"),
    "duplicate keys": (safetensors(b'{"w": 1, "w": 2}'), "'w' occurs twice"),
    "late duplicate": (
        safetensors(b"{" + b",".join(b'"%d":1' % (i % 99_999) for i in range(100_000)) + b"}"),
        "'0' occurs twice",
    ),
    "overlap": (safetensors({"a": entry(), "b": entry(data_offsets=[12, 36])}, bytes(36)), "b"),
    "hole": (safetensors({"a": entry(data_offsets=[4, 28])}, bytes(28)), "a"),
    "trailing bytes": (safetensors({"a": entry()}, bytes(25)), "bytes that belong to no tensor"),
    "negative": (safetensors({"a": entry(shape=[-2, -3])}), "-2"),
    "fractional": (safetensors({"a": entry(shape=[2.5, 2.4])}), "2.5"),
    "null": (safetensors({"a": entry(shape=None)}), "null"),
    "overflow": (safetensors({"a": entry(shape=[2**32, 2**32])}), "overflow"),
    "nothing of much": (
        safetensors({"a": entry(shape=[0, 2**62], data_offsets=[0, 0])}, b""),
        "shape of 'a'",
    ),
    "rank 9": (safetensors({"a": entry(shape=[2, 3] + [1] * 7)}), "shape of 'a'"),
    "unknown dtype": (safetensors({"a": entry(dtype="F31")}), "F31"),
    "float8": (
        safetensors({"a": entry(dtype="F8_E4M3", shape=[24])}),
        "dtype of 'a' must be one of",
    ),
    "dtype that does not fit": (safetensors({"a": entry(dtype="F16")}), "a"),
    **{
        f"name: {case}": (safetensors({name: entry()}), "is no name of a tensor")
        for case, name in NAMES.items()
    },
    **OTHERS,
}

MANY = {f"{i}.weight": entry(shape=[0], data_offsets=[0, 0]) for i in range(40_000)}


# Indices of shards: `{file: bytes}` each, beside shards "a" with the tensor w and "b" with v


def index(weight_map):
    contents = weight_map if isinstance(weight_map, bytes) else json.dumps(weight_map).encode()
    return b'{"weight_map": ' + contents + b"}"


A, B = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
SHARDS = {A: safetensors({"w": entry()}), B: safetensors({"v": entry()})}
INDICES = {
    "outside": (index({"w": "../secret.safetensors"}), "must be the name of a file in the same"),
    "absolute": (index({"w": "/secret.safetensors"}), "must be the name of a file in the same"),
    "zero": (index({"w": "a\0b.safetensors"}), "must be the name of a file in the same folder"),
    "long": (index({"w": "a" * 300 + ".safetensors"}), "must be the name of a file in the same"),
    "missing shard": (index({"w": A, "v": "no.safetensors"}), "'no.safetensors', which is missing"),
    "itself": (index({"w": INDEX}), "must be a .safetensors file"),
    "a pickle": (index({"w": "a.bin"}), "must be a .safetensors file"),
    "elsewhere": (index({"w": B, "v": B}), "'w' is not in"),
    "left out": (index({"v": B, "u": A}), "'u' is not in"),
    "unnamed": (index({"w": A, "x": B}), "'x' is not in"),
    "name twice": (index(b'{"w": "a.safetensors", "w": "b.safetensors"}'), "'w' occurs twice"),
    "no map": (index(["w"]), "weight_map must say"),
    "empty map": (index({}), "weight_map must say"),
    "numbers": (index({"w": 1}), "weight_map must say"),
    "too many shards": (
        index({f"w{i}": f"{i}.safetensors" for i in range(600)}),
        "at most 512 shards; got 600",
    ),
    "too large": (b" " * (2**23 + 1), "must be at most 8388608 bytes"),
    "deep": (index(b"[" * 100_000), "JSON is not valid"),
    "empty": (b"", "JSON is not valid"),
}


# PyTorch


def pickled(program):
    return zip_of({"archive/data.pkl": b"\x80\x02" + program + b"."})


def shared(count):
    """One storage of a million numbers, under many names."""
    numbers = np.zeros(10**6, "float32")
    names = b"".join(text(str(i)) + b"h\x01" for i in range(count))
    program = b"\x80\x02}(" + text("w") + tensor("0", numbers) + b"q\x01" + names + b"u."
    return zip_of({"archive/data.pkl": program, "archive/data/0": numbers.tobytes()})


def patched(data, offset_in_central, value, offset_in_local=None):
    """A zip file whose first member has other flags or another method."""
    data = bytearray(data)
    place = data.index(b"PK\x01\x02") + offset_in_central
    data[place : place + 2] = struct.pack("<H", value)
    if offset_in_local is not None:
        data[offset_in_local : offset_in_local + 2] = struct.pack("<H", value)
    return bytes(data)


def long_list():
    """A zip file with a list of 200,000 members, of which each is nothing."""
    member = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[20, 20, 0, 0, 0, 0], *[0] * 3, *[0] * 7)
    size = len(member) * 200_000
    return member * 200_000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)


SOUND = torch_zip({"w": ZEROS})
WIDE = tensor("0", ZEROS).replace(
    b"(" + number(2) + number(3) + b"t", b"(" + number(1) * 90_000 + b"t"
)
TORCH = {
    "empty": (b"", "must be a zip file"),
    "short": (b"PK\x03\x04", "must be a zip file"),
    "cut": (SOUND[:-30], "must be a zip file"),
    "encrypted": (patched(SOUND, 8, 1, 6), "is compressed or encrypted"),
    "patch": (patched(SOUND, 8, 0x20, 6), "is compressed or encrypted"),
    "compressed": (patched(SOUND, 10, zipfile.ZIP_DEFLATED, 8), "is compressed or encrypted"),
    "method 99": (patched(SOUND, 10, 99, 8), "is compressed or encrypted"),
    "long list": (long_list(), "its list of members is over 8388608 bytes"),
    "colliding keys": (
        pickled(
            b"}("
            + b"".join(
                b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(20_000)
            )
            + b"u"
        ),
        "keys must be text, or integers below 2",
    ),
    "nested tuples": (pickled(b")" + b"\x85" * 4_000_000), "at most 200000 instructions"),
    "doubling tuples": (pickled(b")" + b"q\x01h\x01\x86" * 600_000), "at most 200000 instructions"),
    "marks": (pickled(b"(" * 4_000_000), "at most 200000 instructions"),
    "rank 90,000": (
        zip_of(
            {
                "archive/data.pkl": b"\x80\x02}" + text("w") + WIDE + b"s.",
                "archive/data/0": bytes(24),
            }
        ),
        "'w' is no tensor",
    ),
    "numbers of many names": (shared(5_000), "bytes, made of 4000000"),
    "names": (torch_zip({"a/../b": ZEROS}), "is no name of a tensor"),
    "a gguf": OTHERS["a gguf"],
    "an hdf5": OTHERS["an hdf5"],
}


# HDF5


def hdf5(fill):
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        fill(group)
    return file.getvalue()


def nest(group):
    for _ in range(5_000):
        group = group.create_group("g")


def circle(group):
    inner = group.create_group("a")
    for name in "bcdef":
        inner[name] = group


def unwritten(group):
    for i in range(3_000):
        group.create_dataset(f"d{i}", shape=(250_000,), dtype="f4")


def crowd(group):
    for i in range(5_000):
        group.create_group(str(i))


def scaled(group):
    group.create_dataset("a", data=np.zeros(1000, "i4"), scaleoffset=0)


HDF5 = {
    "empty": (b"", "no sound HDF5 file"),
    "unwritten": (hdf5(unwritten), "'d0' must be plain numbers that the file itself holds"),
    "nested": (hdf5(nest), "16 groups within groups"),
    "circle": (hdf5(circle), "16 groups within groups"),
    "crowd": (hdf5(crowd), "at most 4000 items; got 5000"),
    "filtered": (hdf5(scaled), "'a' must be plain numbers"),
    "nothing": (hdf5(lambda g: g.create_dataset("a", data=h5py.Empty("f4"))), "'a' must be plain"),
    "text": (hdf5(lambda g: g.create_dataset("a", data="text")), "'a' must be plain numbers"),
    "type": (hdf5(lambda g: g.__setitem__("a", np.dtype("f4"))), "'a' must be plain numbers"),
}
