"""Files that are replaced in one step: a crash leaves the old one whole, or the new one.

    write_atomically("runs/log.json", text)
    with replacing("runs/weights.bin") as scratch:  # for what is written piece by piece
        write(scratch)

What is written gets the permissions that any new file of this process gets.
"""

import contextlib
import errno
import os
import secrets
from pathlib import Path

LONGEST_NAME = 200  # of a file name's 255 bytes, what leaves room for a scratch file's name


def write_atomically(path, data):
    """Replace a file in one step.

    Args:
        path: the file; missing parents are made.
        data: str, written as UTF-8 with its line ends as they are, or bytes.

    Raises:
        OSError: of the kind that stopped it, naming the file; the old one is unchanged.
    """
    with replacing(path) as scratch, open(scratch, "xb") as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


@contextlib.contextmanager
def replacing(path):
    """The path of a file to make beside `path`, whose place it takes when the block is done.

    Nothing is replaced and nothing stays behind if the block raises.

    Raises:
        OSError: of the kind that stopped it, naming `path`; the old file is unchanged.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name[:LONGEST_NAME]}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # mostly since it is not there
            scratch.unlink()


def write_error(error, path):
    """An error of the same kind and number that says what stopped the writing of `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "the disk is full. Free some space, or choose another disk"
    elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
        reason = "there is no permission to write there. Choose another place"
    else:
        reason = error.strerror or str(error)
    plain = type(error)(f"Cannot write {str(path)!r}: {reason}. Nothing was changed.")
    plain.errno = error.errno
    return plain
