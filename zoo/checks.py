"""Arguments that many functions take: what must hold of each, said in one sentence."""

import numbers
import os
from pathlib import Path

MAX_NAME_BYTES = 255  # of a file or folder, on all common file systems
MAX_PATH_BYTES = 4096


def shown(value):
    """A value in an error, cut to a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def require_whole(name, value, smallest=1, optional=True):
    """Refuse what is not a whole number from `smallest` on, nor None where that is allowed."""
    if optional and value is None:
        return
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < smallest:
        raise ValueError(
            f"{name} must be a whole number of at least {smallest}; got {shown(value)}."
        )


def require_flag(name, value):
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):  # NumPy's
        raise TypeError(f"{name} must be True or False; got {shown(value)}.")


def require_several(name, value, what):
    """Refuse what holds no items, or is one text, where several things are meant."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be several {what}, as in a list; got {shown(value)}.")


def checked_path(name, what="A folder"):
    """The path that a user has given, its `~` written out.

    Args:
        name: a str or path.
        what: str, what an error calls it.

    Raises:
        TypeError: neither a str nor a path.
        ValueError: no system has such a path, or there is no such home.
    """
    if not isinstance(name, (str, os.PathLike)) or isinstance(os.fspath(name), bytes):
        raise TypeError(f"{what} is given by its path, a str or a pathlib.Path; got {shown(name)}.")
    text = os.fspath(name)
    brief = repr(text if len(text) <= 80 else f"{text[:77]}...")
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(f"A path must be valid Unicode; got {brief}.") from None
    if b"\0" in data:
        raise ValueError(f"A path must not hold the character NUL; got {brief}.")
    longest = max(map(len, data.split(os.fsencode(os.sep))))
    if longest > MAX_NAME_BYTES or len(data) > MAX_PATH_BYTES:
        raise ValueError(
            f"A path must have names of at most {MAX_NAME_BYTES} bytes, and {MAX_PATH_BYTES} in "
            f"all; got {brief}."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"There is no home folder for {brief}. Write the path out.") from None


def file_path(name, what="A file"):
    """As `checked_path`, of a file; raises ValueError for no name."""
    path = checked_path(name, what)
    if not os.fspath(name).strip() or not path.name:
        raise ValueError(f"{what} must have a name; got the path {os.fspath(name)!r}.")
    return path


def existing_file(name, what="A file"):
    """As `file_path`; raises FileNotFoundError where there is none."""
    path = file_path(name, what)
    if not path.exists():
        raise FileNotFoundError(f"{what} must be there to be read; none is at {str(path)!r}.")
    if path.is_dir():
        raise ValueError(f"{what} must be a file; {str(path)!r} is a folder.")
    return path
