"""Documents of any length in pieces of bounded length, from memory or from files."""

import os
import re

from zoo.files import is_path, read_text

MOST_CHARACTERS = 2**22  # of a piece
LOOKED_AT = 10_000  # characters at a piece's end in which a good place to cut is looked for
# A tokenizer for which white space is part of the word behind it, or stands alone, does not see
# a cut before a line or word that has exactly one such character before it.
LINE = re.compile(r"(?<=\n)(?=\S)")
WORD = re.compile(r"(?<=\S)(?= \S)")


def pieces(document):
    """`(text, is_last)` of the pieces of a document, in order; they add up to it.

    A piece ends before a line or a word if there is one in sight, and is otherwise cut anywhere.

    Args:
        document: a str, the `pathlib.Path` of a UTF-8 file, or an object with a `text`.

    Raises:
        TypeError: none of these.
        ValueError: the path of a folder, or a file that is not UTF-8; names file and line.
    """
    rest = ""
    for chunk in chunks(getattr(document, "text", document)):
        rest += chunk
        while len(rest) > MOST_CHARACTERS:
            cut = cut_of(rest[:MOST_CHARACTERS])
            yield rest[:cut], False
            rest = rest[cut:]
    yield rest, True


def chunks(document):
    if isinstance(document, str):
        yield document
        return
    if not is_path(document):
        raise TypeError(
            "A document must be a str or the pathlib.Path of a file; got "
            f"{type(document).__name__}."
        )
    if os.path.isdir(document):
        read_text(document)  # says what to pass
    with open(document, encoding="utf-8-sig", newline="") as file:
        try:
            while chunk := file.read(MOST_CHARACTERS):
                yield chunk
        except UnicodeDecodeError:
            read_text(document)  # says where
            raise


def cut_of(text):
    """Where to cut a text, at most its length."""
    start = max(1, len(text) - LOOKED_AT)
    for mark in (LINE, WORD):
        *_, last = (0, *(found.start() for found in mark.finditer(text, start)))
        if last:
            return last
    return len(text)
