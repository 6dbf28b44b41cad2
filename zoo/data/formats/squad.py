"""SQuAD's questions about texts."""

import json
import numbers
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.checks import existing_file
from zoo.files import read_text


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


def read_squad(source: Any) -> list[QAExample]:
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
        source = read_json(existing_file(source, "A SQuAD file"))
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
