"""Tasks: a backbone with a head, a tokenizer and an objective."""

from zoo.data.formats import QAExample, read_conll, read_squad
from zoo.tasks.base import Task
from zoo.tasks.causal_lm import CausalLM
from zoo.tasks.classification import TextClassifier
from zoo.tasks.embedding import TextEmbedder
from zoo.tasks.language_model import LanguageModel, Perplexity
from zoo.tasks.masked_lm import MaskedLM
from zoo.tasks.pretraining import BertPretrainer
from zoo.tasks.question_answering import QuestionAnswerer
from zoo.tasks.seq2seq import Seq2SeqLM
from zoo.tasks.tagging import TokenClassifier

TASKS = {
    cls.task_name: cls
    for cls in (
        CausalLM,
        Seq2SeqLM,
        MaskedLM,
        BertPretrainer,
        TextClassifier,
        TokenClassifier,
        QuestionAnswerer,
        TextEmbedder,
    )
}

__all__ = [
    "TASKS",
    "BertPretrainer",
    "CausalLM",
    "LanguageModel",
    "MaskedLM",
    "Perplexity",
    "QAExample",
    "QuestionAnswerer",
    "Seq2SeqLM",
    "Task",
    "TextClassifier",
    "TextEmbedder",
    "TokenClassifier",
    "read_conll",
    "read_squad",
]
