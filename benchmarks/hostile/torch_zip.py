"""Files as `torch.save` writes them, made without PyTorch."""

import io
import struct
import zipfile

ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
STORAGES = {
    "float32": b"ctorch\nFloatStorage\n",
    "float64": b"ctorch\nDoubleStorage\n",
    "int64": b"ctorch\nLongStorage\n",
}


def torch_zip(tensors, change=None):
    """The bytes of a state dict, `{name: array}`; `change` may alter the members of the zip."""
    program = [b"\x80\x02", ORDERED_DICT, b"("]
    members = {"archive/version": b"3\n"}
    for i, (name, array) in enumerate(tensors.items()):
        program += [text(name), tensor(str(i), array)]
        members[f"archive/data/{i}"] = array.tobytes()
    program += [b"u}", text("_metadata"), ORDERED_DICT, b"sb."]
    members["archive/data.pkl"] = b"".join(program)
    return zip_of(members if change is None else change(members))


def tensor(key, array, offset=0, strides=None, count=None):
    """The instructions that rebuild a tensor of the storage `key`."""
    if strides is None:
        strides = [step // array.itemsize for step in array.strides]
    return b"".join(
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            *(text("storage"), STORAGES[str(array.dtype)], text(key), text("cuda:0")),
            *(number(array.size if count is None else count), b"tQ", number(offset)),
            *(b"(", *map(number, array.shape), b"t(", *map(number, strides), b"t\x89"),
            *(ORDERED_DICT, b"tR"),
        ]
    )


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def zip_of(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return file.getvalue()
