"""CoNLL's columns: a word and its tags a line, a blank line between sentences."""

import os
import re

from zoo.checks import existing_file
from zoo.data.formats.schemes import to_iob2
from zoo.files import read_lines

# Only what CoNLL-U itself writes: without tabs, "#" may as well be a sentence's first word.
COMMENT = re.compile(r"# *(?:newdoc|newpar) *$|# *[^\s=]+(?: +id)? +=(?: |$)")
CONLLU_COLUMNS = 10
CONLLU_NOT_A_WORD = re.compile(r"\d+[-.]\d+")


def read_conll(
    path: str | os.PathLike, word_column: int = 0, tag_column: int = -1, scheme: str | None = None
) -> tuple[list[list[str]], list[list[str]]]:
    """Words and tags of a CoNLL file: one word a line, a blank line between sentences.

    Tjong Kim Sang and De Meulder, 2003, https://arxiv.org/abs/cs/0306050. Columns are separated by
    tabs in a line that has one, and else by spaces. Lines that start with `-DOCSTART-` end a
    sentence and are left out. So are CoNLL-U's comments (`# key = value` and `# newpar`; in a file
    with tabs, every line that starts with `#` and has none) and, among its lines of ten columns,
    those numbered `3-4` or `3.1`, which hold no word of their own.

    Args:
        path: of a UTF-8 file.
        word_column, tag_column: int, counted from 0, or back from -1 for the last.
        scheme: how the tags mark spans, one of `"iob1"`, `"iob2"` (or `"bio"`), `"iobes"` (or
            `"bioes"`), `"bilou"` and `"bmes"`; None to recognise it.

    Returns:
        `(sentences, tags)`: two lists, with a list of str for each sentence; none is empty. Tags of
        spans come out as IOB2 whatever their scheme; other tags as they stand.

    Raises:
        ValueError: naming the file and the line: not UTF-8, or no word or no tag in its column.
            Naming the file: no words at all, no such scheme, or a tag that is none of it.
    """
    lines = read_lines(existing_file(path, "A CoNLL file"))
    for name, column in {"word_column": word_column, "tag_column": tag_column}.items():
        if not isinstance(column, int):
            raise ValueError(f"{name} must be the number of a column, an int; got {column!r}.")
    has_tabs = any("\t" in line.strip() for line in lines if not line.startswith("#"))
    sentences, tags = [[]], [[]]
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("-DOCSTART-"):
            if sentences[-1]:
                sentences.append([])
                tags.append([])
            continue
        columns = split_columns(line)
        if is_comment(line, has_tabs) or holds_no_word(columns):
            continue
        word, tag = cell(columns, word_column), cell(columns, tag_column)
        if not word or not tag or word_column % len(columns) == tag_column % len(columns):
            raise ValueError(
                f"{path}, line {number}: a line must have a word in column {word_column} and a tag "
                f"in column {tag_column}, or be blank; got the columns {columns}."
            )
        sentences[-1].append(word)
        tags[-1].append(tag)
    if not sentences[0]:
        raise ValueError(f"{path} must hold at least one line with a word and a tag; got none.")
    sentences, tags = ([row for row in rows if row] for rows in (sentences, tags))
    return sentences, to_iob2(tags, scheme, path)


def is_comment(line, file_has_tabs):
    return bool(COMMENT.match(line)) or (
        line.startswith("#") and file_has_tabs and "\t" not in line
    )


def split_columns(line):
    # Only tabs and spaces: other white space may be a word, or part of one.
    if "\t" in line:
        return [column.strip(" ") for column in line.split("\t")]
    return [column for column in line.split(" ") if column]


def cell(columns, index):
    return columns[index] if -len(columns) <= index < len(columns) else ""


def holds_no_word(columns):
    """Whether a line is CoNLL-U's: "3-4" repeats two words as written, "3.1" is not in the text."""
    return len(columns) == CONLLU_COLUMNS and bool(CONLLU_NOT_A_WORD.fullmatch(columns[0]))
