"""Processors by the names that arguments of `generate` have for them."""

import numpy as np

from zoo.generation import automata
from zoo.generation.processors import (
    NEVER,
    Constraint,
    Custom,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    OccurrencePenalty,
    Processor,
    RepetitionPenalty,
    Vocabulary,
)


def processors_of(task, sampler, others):
    """What a call asks for beside a sampler, checked; takes it from a dict of its arguments.

    Args:
        task: the one that writes.
        sampler: a `Sampler` or `Beam`.
        others: a dict. A name with None in it asks for nothing.
    """
    asked = {name: others.pop(name) for name in (*MAKERS, *PENALTIES) if name in others}
    asked = {name: value for name, value in asked.items() if value is not None}
    if "repetition_penalty" in asked and sampler.processors:
        raise ValueError(
            f"repetition_penalty must be said once: leave it out, or out of {sampler!r}."
        )
    penalties = {short: asked.pop(name) for name, short in PENALTIES.items() if name in asked}
    found = [OccurrencePenalty(**penalties)] if penalties else []
    for name, value in asked.items():
        found += MAKERS[name](task, value)
    vocabulary = vocabulary_of(task)
    for processor in found:
        processor.check(vocabulary)
    return tuple(found)


def vocabulary_of(task):
    """What processors need to know of a task."""
    return Vocabulary(task.decoder.num_choices, task.special_tokens.stop)


def _bias(task, bias):
    if not isinstance(bias, dict) or not bias:
        raise TypeError(
            "logit_bias must be a dict from token ids, tuples of them or texts to numbers; got "
            f"{bias!r}."
        )
    return [LogitBias.of({_ids_of(task, key): number for key, number in bias.items()})]


def _ids_of(task, key):
    """A token id, or a sequence of them, from what stands for it."""
    if isinstance(key, str):
        ids = task.require_tokenizer().encode(key)
        key = tuple(ids) or None
    is_id = isinstance(key, (int, np.integer)) and not isinstance(key, bool)
    is_sequence = isinstance(key, (tuple, list)) and bool(key)
    if not is_id and not (
        is_sequence and all(isinstance(i, (int, np.integer)) and i >= 0 for i in key)
    ):
        raise TypeError(
            "logit_bias and bad_words take token ids, sequences of them, or texts that are not "
            f"empty; got {key!r}."
        )
    return tuple(key) if is_sequence else int(key)


def _bad_words(task, words):
    words = [words] if isinstance(words, str) else words
    if not isinstance(words, (list, tuple, set, frozenset)) or not words:
        raise TypeError(f"bad_words must be texts, or lists of token ids; got {words!r}.")
    texts = tuple(sorted(word for word in words if isinstance(word, str)))
    if "" in texts:
        raise ValueError("bad_words must not be empty; got ''.")
    sequences = [_ids_of(task, word) for word in words if not isinstance(word, str)]
    found = [LogitBias.of(dict.fromkeys(sequences, NEVER))] if sequences else []
    if texts:
        found.append(Constraint(automata.avoided(task.require_tokenizer(), texts)))
    return found


def _choices(task, texts):
    is_list = isinstance(texts, (list, tuple)) and len(texts) > 0
    if not is_list or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"choices must be a list of texts; got {texts!r}.")
    return [Constraint(automata.choices(task.require_tokenizer(), texts))]


def _regex(task, pattern):
    if not isinstance(pattern, str):
        raise TypeError(f"regex must be a regular expression as a string; got {pattern!r}.")
    return [Constraint(automata.regex(task.require_tokenizer(), pattern))]


def _processors(task, processors):
    several = processors if isinstance(processors, (list, tuple)) else [processors]
    for processor in several:
        if not callable(processor):
            raise TypeError(
                "processors must be functions of (ids, logits), or zoo.generation.processors; got "
                f"{processor!r}."
            )
    return [p if isinstance(p, Processor) else Custom(p) for p in several]


MAKERS = {  # from a task and an argument to a list of processors
    "logit_bias": _bias,
    "repetition_penalty": lambda task, penalty: [RepetitionPenalty(penalty)],
    "no_repeat_ngram_size": lambda task, size: [NoRepeatNGram(size)],
    "bad_words": _bad_words,
    "min_new_tokens": lambda task, count: [MinNewTokens(count)],
    "choices": _choices,
    "regex": _regex,
    "processors": _processors,
}
PENALTIES = {"presence_penalty": "presence", "frequency_penalty": "frequency"}
