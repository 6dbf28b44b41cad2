"""Files of others, opened with care; and what they say of tensors, before it is believed."""

import hashlib
import json
import os
import stat
from pathlib import Path

MAX_NAME = 512  # characters of a tensor's name
MAX_RANK = 8
CHUNK = 2**20  # bytes that are read at once where a file is read through
MAX_NUMBERS = 2**48  # of one tensor; more than any machine has memory for

# A pipe would wait; on Windows, ends of lines would change.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

# What files begin with, whatever they are called.
KINDS = {
    b"GGUF": "a GGUF file",
    b"PK\x03\x04": "a zip file, as torch.save writes",
    b"\x80\x02": "a pickle",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
}


def open_regular(path):
    """Open a file of bytes to read, and only a regular one: a pipe or a device may never end.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is a folder, a pipe or a device, or no name of a file.
    """
    shown = str(path)[:300]
    try:
        handle = os.open(path, FLAGS)
    except FileNotFoundError:
        raise FileNotFoundError(f"No file at {shown!r}.") from None
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{shown!r} cannot be read: {reason}. Give another file.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError(f"{shown!r} must be a file, not a folder, a pipe or a device.")
    return os.fdopen(handle, "rb")


def member(folder, name, source):
    """The path of a file in a folder, which neither its name nor a link may leave.

    The hub's cache is a folder of links into its `blobs`, which are followed.

    Args:
        folder: a Path.
        name: what the file is called by `source`, which anybody may have written.
        source: what to call in errors.
    """
    is_plain = "\0" not in name and "\\" not in name and Path(name).name == name
    if not is_plain or len(name) > 255:
        raise damaged(source, f"{name[:80]!r} must be the name of a file in the same folder")
    path = folder / name
    homes = [folder.resolve()]
    if folder.parent.name == "snapshots":
        homes.append(folder.parent.parent.resolve() / "blobs")
    if path.is_symlink() and path.resolve().parent not in homes:
        raise ValueError(
            f"{path} must lie in its folder, but is a link that leaves it. Copy the file there."
        )
    return path


def check_is(start, expected, path):
    """Refuse a file by its first bytes, if they are those of another format."""
    for magic, what in KINDS.items():
        if magic != expected and start.startswith(magic):
            raise ValueError(f"{path} is {what}, whatever its name says. Give it its own name.")


def check_tensor(name, shape, path):
    """Refuse a tensor by its name and shape, before memory is taken for it."""
    is_name = 0 < len(name) <= MAX_NAME and name.isprintable()
    if not is_name or name.startswith("/") or ".." in name:
        raise damaged(path, f"{name[:80]!r} is no name of a tensor")
    numbers = 1
    for size in shape[: MAX_RANK + 1]:
        numbers *= max(size, 1)
    if len(shape) > MAX_RANK or min(shape, default=0) < 0 or numbers > MAX_NUMBERS:
        raise damaged(
            path,
            f"the shape of {name!r} must have up to {MAX_RANK} sizes and {MAX_NUMBERS} numbers",
        )


def strict_json(data, source):
    """The JSON object in `data`, bytes; refuses duplicate keys, NaN and what is no object."""

    def unique(pairs):
        contents = dict(pairs)
        if len(contents) < len(pairs):
            seen = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise ValueError(f"{twice[:80]!r} occurs twice")
        return contents

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    try:
        contents = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(source, f"its JSON is not valid ({error})") from None
    if not isinstance(contents, dict):
        raise damaged(source, "its JSON must be an object")
    return contents


def damaged(path, reason):
    return ValueError(f"{path} is damaged: {reason}. Fetch or save it again.")


def digest(path):
    """The sha256 of a file, a text."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
