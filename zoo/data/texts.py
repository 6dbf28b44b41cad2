"""Texts as they come: missing, empty, in files, or named where they should be read.

The one decision about what is not there: a missing text (None, NaN) is the empty text. Empty texts
are classified and embedded as they are, and dropped from training with one warning.
"""

import sys
import warnings

from zoo.backends.memory import total_memory
from zoo.files import is_name, refuse_name

LIBRARIES = ("zoo", "keras", "torch", "tensorflow", "jax", "grain", "datasets", "threading")
BYTES_OF_CHARACTER = 10  # as Python's numbers of tokens of four characters, and as arrays
NAMES_LOOKED_AT = 8  # a single text among others may well be called like some file


class NothingToLearn(ValueError):
    """No text of a batch, or of all, has a token."""


def some(batches):
    """The batches as they are; raises NothingToLearn at their end if there was none."""
    is_empty = True
    for batch in batches:
        is_empty = False
        yield batch
    if is_empty:
        raise NothingToLearn("There is nothing to learn from: no text has a token. Check them.")


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


def refuse_names(texts):
    """Raise ValueError if the first texts are all paths of files, of which no text was read."""
    first = texts[:NAMES_LOOKED_AT]
    if all(map(is_name, first)):
        refuse_name(first[0])


def warn_dropped(count, total, what):
    """Say once how many are left out because there is no text in them."""
    if count:
        warnings.warn(
            f"{count} of {total} {what} have no text and were left out.",
            stacklevel=user_level(),
        )


def user_level():
    """The `stacklevel` that makes a warning point at the user's line: outside of zoo and Keras, and
    of the libraries that call back into a dataset.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in LIBRARIES:
            break
        level, frame = level + 1, frame.f_back
    return level


def check_memory_of(texts):
    """Raise ValueError for texts whose tokens would not fit into this machine's memory."""
    memory, needed = total_memory(), BYTES_OF_CHARACTER * sum(map(characters, texts))
    if memory is not None and needed > memory:
        raise ValueError(
            f"These texts take about {needed / 1e9:,.1f} GB as tokens in memory, and this machine "
            f"has {memory / 1e9:,.1f} GB. Write them as token files, which are read from disk: "
            "zoo data tokenize TEXTS --tokenizer new:16000 --out data"
        )


def characters(example):
    """Of a text, or of the texts of an example."""
    if isinstance(example, (str, bytes)):
        return len(example)
    return sum(map(characters, example)) if isinstance(example, (list, tuple)) else 0
