"""Files of text, and files that are replaced in one step: a crash leaves the old one whole.

    write_atomically("runs/log.json", text)
    with replacing("runs/weights.bin") as scratch:  # for what is written piece by piece
        write(scratch)

What is written gets the permissions that any new file of this process gets.
"""

import codecs
import contextlib
import errno
import os
import re
import secrets
from pathlib import Path

LINE_END = re.compile("\r\n|\r|\n")
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
        if error.filename and Path(error.filename) not in (scratch, path, *path.parents):
            raise  # of another file that the block reads
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


def read_text(path):
    """The text of a UTF-8 file, with or without a mark at its start, its line ends as they are.

    Raises:
        ValueError: a folder, or not UTF-8; names the file and the line.
    """
    if os.path.isdir(path):
        raise ValueError(
            f"Text is read from files, and {os.fspath(path)!r} is a folder. Pass the files, such "
            "as sorted(folder.rglob('*.txt'))."
        )
    content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: the file must be UTF-8; got the byte "
            f"0x{content[error.start]:02x}. Convert it, with iconv for example."
        ) from error


def read_lines(path):
    """The lines of a UTF-8 file, whichever of the three usual ends they have. As `read_text`."""
    lines = LINE_END.split(read_text(path))
    return lines if lines[-1] else lines[:-1]  # a file ends with a line end


def is_path(value):
    """Whether a value is a `pathlib.Path` or its like."""
    return hasattr(value, "__fspath__")


def is_name(text):
    """Whether a string is the path of a file, and looks like one."""
    if not isinstance(text, str) or len(text) > 1024 or "\n" in text or "\0" in text:
        return False
    return bool(os.sep in text or os.path.splitext(text)[1]) and os.path.isfile(text)


def refuse_name(text):
    """Raise ValueError for a string that is the path of a file, where its text is meant."""
    if is_name(text):
        raise ValueError(
            f"{text!r} is the name of a file, not its text. To read the file pass "
            "pathlib.Path(...), or a list of them."
        )
