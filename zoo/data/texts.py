"""Texts as they come: missing, empty, in files, or named where they should be read.

The one decision about what is not there: a missing text (None, NaN) is the empty text. Empty texts
are classified and embedded as they are, and dropped from training with one warning.
"""

import os
import warnings

from zoo.data.formats import read_text

PATHS_LOOKED_AT = 8  # of the first texts, to find out whether they are names of files


def is_missing(value):
    """Whether a value is None or a table's NaN, NA or NaT."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def is_text(value):
    """Whether a value is one text, or the place of one that is missing."""
    return isinstance(value, (str, bytes)) or is_missing(value)


def filled(texts):
    """The texts, with the empty text in the place of what is missing."""
    return ["" if is_missing(text) else text for text in texts]


def decoded(value):
    """Bytes, as TensorFlow and Arrow hold text, to str; anything else as it is."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return [decoded(one) for one in value] if isinstance(value, list) else value


def is_path(value):
    """Whether a value is a `pathlib.Path` or its like."""
    return hasattr(value, "__fspath__")


def read_files(paths):
    """The contents of UTF-8 files, a text for each.

    Raises:
        ValueError: for a folder, or a file that is not UTF-8.
    """
    for path in paths:
        if os.path.isdir(path):
            raise ValueError(
                f"Text is read from files, and {os.fspath(path)!r} is a folder. Pass the files, "
                "such as sorted(folder.rglob('*.txt'))."
            )
    return [read_text(path) for path in paths]


def refuse_file_names(texts):
    """Raise ValueError if the first texts are names of files, since no text was read from them."""
    first = texts[:PATHS_LOOKED_AT]
    if first and all(map(names_a_file, first)):
        raise ValueError(
            f"{first[0]!r} is the name of a file, not its text. To read the file pass "
            "pathlib.Path(...), or a list of them; for the name itself, put more text beside it."
        )


def names_a_file(text):
    """Whether a string is the path of a file and looks like one."""
    looks_like_one = isinstance(text, str) and 0 < len(text) < 1024 and "\n" not in text
    if not looks_like_one or not (os.path.splitext(text)[1] or os.sep in text) or "\0" in text:
        return False
    return os.path.isfile(text)


def warn_dropped(count, total, what):
    """Say once how many are left out because there is no text in them."""
    if count:
        warnings.warn(
            f"{count} of {total} {what} have no text and were left out.",
            stacklevel=user_level(),
        )


def user_level():
    """The `stacklevel` that makes a warning point at the first line outside of zoo and Keras."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in ("zoo", "keras"):
            break
        level, frame = level + 1, frame.f_back
    return max(level - 1, 1)
