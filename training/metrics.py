"""Scores of whole test sets: labels, named entities, answers, texts. One call, plain numbers.

Those of lists take the truth first, then what was predicted.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from zoo.training.metrics_labels import (
    classification_report,
    classification_scores,
    confusion_matrix,
    draw_confusion_matrix,
    per_label,
)
from zoo.training.metrics_text import bleu, chrf, perplexity, rouge

from zoo.checks import require_several, shown
from zoo.data.entities import entities
from zoo.data.formats import QAExample

__all__ = [
    "bleu",
    "chrf",
    "classification_report",
    "classification_scores",
    "confusion_matrix",
    "draw_confusion_matrix",
    "entity_f1",
    "perplexity",
    "rouge",
    "squad_scores",
]

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def entity_f1(true_tags: Any, predicted_tags: Any) -> dict:
    """Precision, recall and F1 of named entities, as CoNLL's shared tasks score them.

    An entity counts only if its first word, last word and label are all right. Computed by
    `seqeval`, in its lenient mode: an `I-x` with no entity to continue starts one.

    Args:
        true_tags, predicted_tags: lists of sentences, each a list of tags `O`, `B-x` or `I-x`.

    Returns:
        `{"precision", "recall", "f1", "per_label": {label: {"precision", "recall", "f1",
        "support"}}}`: floats from 0 to 1, the support an int: how many true entities have the
        label. The first three count all entities alike. What would divide by zero is 0.

    Raises:
        ImportError: without `seqeval`.
        ValueError: if the two sides differ in sentences or in a sentence's words, if there are
            no sentences, or for a tag that is none of the three.
    """
    true_tags = sentences_of(true_tags, "true_tags")
    predicted_tags = sentences_of(predicted_tags, "predicted_tags")
    if len(true_tags) != len(predicted_tags) or not true_tags:
        raise ValueError(
            "True and predicted tags must be of the same sentences, at least 1; "
            f"got {len(true_tags)} and {len(predicted_tags)}."
        )
    for i, (true, predicted) in enumerate(zip(true_tags, predicted_tags, strict=True)):
        if len(true) != len(predicted):
            raise ValueError(
                "Every word must have a true and a predicted tag; "
                f"got {len(true)} and {len(predicted)} for sentence {i}."
            )
    labels = sorted({label for tags in true_tags + predicted_tags for label, *_ in entities(tags)})
    try:
        from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as score
    except ImportError as error:
        raise ImportError(
            'Scoring entities needs seqeval, which is not installed: pip install "keras-zoo[eval]".'
        ) from error
    overall = score(true_tags, predicted_tags, average="micro", zero_division=0)
    columns = score(true_tags, predicted_tags, average=None, zero_division=0)
    precision, recall, f1 = map(float, overall[:3])
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "per_label": per_label(labels, columns),
    }


def sentences_of(tags, name):
    require_several(name, tags, "sentences, each a list of tags")
    for sentence in tags:
        require_several(name, sentence, "sentences, each a list of tags")
    return [list(sentence) for sentence in tags]


def squad_scores(predictions: Any, references: Any) -> dict:
    """Exact match and F1 of answers, the numbers of SQuAD's own evaluation.

    Rajpurkar et al., 2016, section 6.1, https://arxiv.org/abs/1606.05250, and 2018 for questions
    without answer, https://arxiv.org/abs/1806.03822. Texts are compared as words, in lower case
    and without punctuation and articles. F1 is that of the two bags of words. Of several gold
    answers the best counts; if there is none, only a prediction without words is right.

    Args:
        predictions: `{id: text}`, the text `""` for "no answer". Ids that are in no reference are
            not scored.
        references: list of `QAExample`, of different ids.

    Returns:
        `{"exact", "f1", "total"}`: two floats in percent and the number of questions. If some
        have no answer, as in SQuAD v2.0, also `"HasAns_exact"`, `"HasAns_f1"`, `"HasAns_total"`
        for the others, if any, and `"NoAns_exact"`, `"NoAns_f1"`, `"NoAns_total"` for these.

    Raises:
        ValueError: if predictions are missing or no texts, or if references are missing or share
            an id.
    """
    require_several("references", references, "QAExamples")
    references = list(references)
    if not isinstance(predictions, Mapping):
        raise TypeError(f"predictions must be a dict, {{id: text}}; got {shown(predictions)}.")
    for example in references:
        if not isinstance(example, QAExample):
            raise TypeError(f"references must be QAExamples; got {shown(example)}.")
    if not references:
        raise ValueError("There must be at least one question to score; got none.")
    ids = Counter(example.id for example in references)
    if len(ids) < len(references):
        id, times = ids.most_common(1)[0]
        raise ValueError(f"Questions must have different ids; got {id!r} {times} times.")
    missing = [id for id in ids if id not in predictions]
    if missing:
        raise ValueError(
            "Every question must have a prediction, the text '' for no answer; "
            f"{len(missing)} of {len(ids)} have none, the first is {missing[0]!r}."
        )
    answered, unanswered = [], []
    for example in references:
        group = answered if example.answers else unanswered
        group.append(answer_scores(predictions[example.id], example))
    scores = averages("", answered + unanswered)
    for prefix, group in (("HasAns_", answered), ("NoAns_", unanswered)):
        if unanswered and group:
            scores |= averages(prefix, group)
    return scores


def averages(prefix, scores):
    exact, f1 = (100 * np.mean(scores, axis=0)).tolist()
    return {f"{prefix}exact": exact, f"{prefix}f1": f1, f"{prefix}total": len(scores)}


def answer_scores(prediction, example):
    """`(exact match, F1)` of one prediction, the best of each over the gold answers."""
    if not isinstance(prediction, str):
        raise ValueError(
            f"The prediction for {example.id!r} must be a text; got {type(prediction).__name__}."
        )
    predicted = answer_words(prediction)
    gold = [words for text, _ in example.answers if (words := answer_words(text))] or [[]]
    return max(predicted == words for words in gold), max(word_f1(predicted, w) for w in gold)


def answer_words(text):
    """The words that count: "The Eiffel-Tower!" is `["eiffeltower"]`."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def word_f1(first, second):
    if not first or not second:
        return float(first == second)
    shared = (Counter(first) & Counter(second)).total()
    return 2 * shared / (len(first) + len(second))
