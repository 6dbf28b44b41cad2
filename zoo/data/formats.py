"""Files of labelled text as they are published: CoNLL columns and SQuAD questions."""

import json
import numbers
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoo.files import read_text

# Only what CoNLL-U itself writes: without tabs, "#" may as well be a sentence's first word.
COMMENT = re.compile(r"# *(?:newdoc|newpar) *$|# *[^\s=]+(?: +id)? +=(?: |$)")
CONLLU_COLUMNS = 10
CONLLU_NOT_A_WORD = re.compile(r"\d+[-.]\d+")


def read_conll(path, word_column=0, tag_column=-1):
    """Words and tags of a CoNLL file: one word a line, a blank line between sentences.

    Tjong Kim Sang and De Meulder, 2003, https://arxiv.org/abs/cs/0306050. Columns are separated by
    tabs in a line that has one, and else by spaces. Lines that start with `-DOCSTART-` end a
    sentence and are left out. So are CoNLL-U's comments (`# key = value` and `# newpar`; in a file
    with tabs, every line that starts with `#` and has none) and, among its lines of ten columns,
    those numbered `3-4` or `3.1`, which hold no word of their own.

    Args:
        path: of a UTF-8 file.
        word_column, tag_column: int, counted from 0, or back from -1 for the last.

    Returns:
        `(sentences, tags)`: two lists, with a list of str for each sentence; none is empty.

    Raises:
        ValueError: naming the file and the line: not UTF-8, or no word or no tag in its column.
            Naming the file: no words at all.
    """
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
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
    return [words for words in sentences if words], [row for row in tags if row]


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


@dataclass(frozen=True)
class QAExample:
    """A question about a text.

    Attributes:
        id: str, what predictions and scores call it.
        question: str.
        context: str, the text that holds the answer.
        answers: tuple of `(text, start)`: what may be answered, and the character of the context
            where it starts. Empty if the context does not answer the question.

    Raises:
        ValueError: if an answer does not stand in the context where it should.
    """

    id: str
    question: str
    context: str
    answers: tuple

    def __post_init__(self):
        for name in ("id", "question", "context"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(
                    f"Question {self.id!r}: its {name} must be a string; got {value!r}."
                )
        for text, start in self.answers:
            check_answer(f"Question {self.id!r}", self.context, text, start)


def check_answer(name, context, text, start):
    if not isinstance(text, str) or not text:
        raise ValueError(
            f"{name}: an answer must be a text of at least one character, and a question without "
            f"answer must have none; got {text!r}."
        )
    if not isinstance(start, numbers.Integral) or not 0 <= start < len(context):
        raise ValueError(
            f"{name}: the answer {text!r} must start within its context of {len(context)} "
            f"characters; got {start!r}."
        )
    found = context[start : start + len(text)]
    if found != text:
        raise ValueError(
            f"{name}: the answer {text!r} must stand in its context at character {start}; "
            f"{found!r} stands there."
        )


def read_squad(source):
    """Questions in the format of SQuAD v1.1 or v2.0.

    Rajpurkar et al., 2018, https://arxiv.org/abs/1806.03822. In v2.0 some questions have no
    answers; the "plausible" ones that it gives for them are not read.

    Args:
        source: path of a JSON file, or what such a file holds: a dict with the nested `"data"` of
            SQuAD, or a list of questions. A question of a list is a `QAExample`, or a dict of
            `"id"`, `"question"`, `"context"` and `"answers"`, these as `[{"text": ...,
            "answer_start": ...}, ...]` or, as tables have them, `{"text": [...], "answer_start":
            [...]}`.

    Returns:
        A list of `QAExample`, in the order of the source.

    Raises:
        ValueError: naming the file or the question: not JSON, a key is missing, or an answer does
            not stand in its context where it should.
    """
    if isinstance(source, str | os.PathLike):
        source = read_json(source)
    if isinstance(source, Mapping):
        return list(questions_of_articles(source))
    return [
        question if isinstance(question, QAExample) else to_example(question, f"Question {i}")
        for i, question in enumerate(as_list(source, "What holds the questions"))
    ]


def questions_of_articles(squad):
    (articles,) = required(squad, ["data"], "SQuAD's outermost object")
    for i, article in enumerate(as_list(articles, "SQuAD's 'data'")):
        (paragraphs,) = required(article, ["paragraphs"], f"Article {i}")
        for k, paragraph in enumerate(as_list(paragraphs, f"Article {i}: its paragraphs")):
            name = f"Article {i}, paragraph {k}"
            context, questions = required(paragraph, ["context", "qas"], name)
            for n, question in enumerate(as_list(questions, f"{name}: its qas")):
                question_name = f"{name}, question {n}"
                question = {**as_mapping(question, question_name), "context": context}
                yield to_example(question, question_name)


def to_example(question, name):
    """A `QAExample` of one question's dict; `name` is what errors call it if it has no id."""
    if "id" in as_mapping(question, name):
        name = f"Question {question['id']!r}"
    keys = ["id", "question", "context", "answers"]
    id, text, context, answers = required(question, keys, name)
    if isinstance(answers, Mapping):
        texts, starts = required(answers, ["text", "answer_start"], f"{name}: its answers")
        if len(texts) != len(starts):
            raise ValueError(
                f"{name}: its answers must be as many texts as starts; "
                f"got {len(texts)} and {len(starts)}."
            )
        pairs = zip(texts, starts, strict=True)
    else:
        answers = as_list(answers, f"{name}: its answers")
        pairs = (required(a, ["text", "answer_start"], f"{name}: an answer") for a in answers)
    example = QAExample(id, text, context, tuple((text, start) for text, start in pairs))
    if question.get("is_impossible") and example.answers:
        raise ValueError(
            f"{name}: it is marked as impossible, so it must have no answers; "
            f"got {len(example.answers)}."
        )
    return example


def required(mapping, keys, name):
    """The values of the keys, all of which must be there."""
    missing = [key for key in keys if key not in as_mapping(mapping, name)]
    if missing:
        lacks = " and ".join(map(repr, missing))
        raise ValueError(f"{name} must have {lacks}; got only the keys {[*mapping]}.")
    return [mapping[key] for key in keys]


def as_mapping(value, name):
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a JSON object (a dict); got {type(value).__name__}.")
    return value


def as_list(value, name):
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list; got {type(value).__name__}.")
    return value


def read_json(path):
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}: the file must be JSON; got an error: {error.msg}."
        ) from error
