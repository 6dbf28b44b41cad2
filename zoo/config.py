"""The config.json of a preset: read, checked, and what may be changed about it.

A config names no class and no module: it chooses from the two tables below, and each value is
checked before anything is made.
"""

import inspect

import keras

from zoo import hub
from zoo import weights as weight_files
from zoo.data.labels import check_labels_list
from zoo.layers.recurrent import GATES
from zoo.layers.recurrent_attention import ATTENTIONS
from zoo.models import BERT, GPT, LSTM, DistilBERT, LSTMSeq2Seq, RoBERTa, Transformer
from zoo.models.transformer import POSITIONS
from zoo.tasks import (
    BertPretrainer,
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    Seq2SeqLM,
    TextClassifier,
    TextEmbedder,
    TokenClassifier,
)

FORMAT_VERSION = 1
MAX_CONFIG_BYTES = 2**20
MAX_LABELS = 2**16

FAMILIES = {
    "gpt": GPT,
    "bert": BERT,
    "roberta": RoBERTa,
    "distilbert": DistilBERT,
    "transformer": Transformer,
    "lstm": LSTM,
    "lstm_seq2seq": LSTMSeq2Seq,
}
TASKS = {
    "causal_lm": CausalLM,
    "seq2seq": Seq2SeqLM,
    "masked_lm": MaskedLM,
    "pretraining": BertPretrainer,
    "text_classification": TextClassifier,
    "token_classification": TokenClassifier,
    "question_answering": QuestionAnswerer,
    "embedding": TextEmbedder,
}
DECODER_TASKS = ("causal_lm",)
SEQ2SEQ_TASKS = ("seq2seq",)
ENCODER_TASKS = tuple(name for name in TASKS if name not in DECODER_TASKS + SEQ2SEQ_TASKS)
LSTM_TASKS = ("causal_lm", "text_classification", "token_classification")
FAMILY_TASKS = {  # others are encoders
    "gpt": DECODER_TASKS,
    "transformer": SEQ2SEQ_TASKS,
    "lstm": LSTM_TASKS,
    "lstm_seq2seq": SEQ2SEQ_TASKS,
}

# Of every argument that a config or an override may give: its type and range. Which ones a class
# takes, and which it needs, its signature says; None is allowed where it is the default.
ARGUMENTS = {
    "vocab_size": (int, 1, 2**24),
    "num_layers": (int, 1, 2**10),
    "num_heads": (int, 1, 2**12),
    "hidden_dim": (int, 1, 2**17),
    "mlp_dim": (int, 1, 2**20),
    "inner_dim": (int, 1, 2**17),
    "max_length": (int, 1, 2**24),
    "sequence_length": (int, 1, 2**24),
    "source_length": (int, 1, 2**24),
    "target_length": (int, 1, 2**24),
    "num_segments": (int, 0, 2**8),
    "norm_epsilon": (float, 0, 1),
    "mask_rate": (float, 0, 1),
    "head_dropout": (float, 0, 1),
    "scale": (float, 0, 1e6),
    "window_stride": (int, 1, 2**24),
    "max_answer_length": (int, 1, 2**24),
    "no_answer_threshold": (float, -1e6, 1e6),
    "whole_words": (bool,),
    "position": POSITIONS,
    "attention": ATTENTIONS,
    "pre_norm": (bool,),
    "tied": (bool,),
    "gate": tuple(GATES),
    "source_start": (bool,),
    "label_smoothing": (float, 0, 1),
    "labels": (list,),
    "pooling": ("first", "mean"),
    "dropout": (float, 0, 1),
    "attention_dropout": (float, 0, 1),
    "input_dropout": (float, 0, 1),
    "word_dropout": (float, 0, 1),
    "weight_dropout": (float, 0, 1),
    "bidirectional": (bool,),
    "stateful": (bool,),
    "dtype": ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"),
}
MADE_BY_LOAD = ("self", "backbone", "tokenizer", "kwargs")  # never in a config

SECTIONS = {
    "format_version": int,
    "family": str,
    "task": str,
    "backbone": dict,
    "task_arguments": dict,
    "card": dict,
}
OPTIONAL_SECTIONS = ("task_arguments", "card")
JSON_NAMES = {int: "an integer", str: "a text", dict: "an object"}


def read_config(path):
    """The checked contents of a config.json, with every section there."""
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} must be at most {MAX_CONFIG_BYTES} bytes; got {size}.")
    config = weight_files.strict_json(path.read_bytes(), path)
    for section in config:
        if section not in SECTIONS:
            raise ValueError(
                f"{path}: unknown field {section[:80]!r}. {hub.suggestion(section, SECTIONS)}"
                f"The fields are {', '.join(SECTIONS)}."
            )
    config = {**{section: {} for section in OPTIONAL_SECTIONS}, **config}
    for section, kind in SECTIONS.items():
        if section not in config:
            raise ValueError(f"{path}: the field {section!r} is missing.")
        if type(config[section]) is not kind:
            raise ValueError(
                f"{path}: {section!r} must be {JSON_NAMES[kind]}; got {shown(config[section])}."
            )
    if config["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path}: format_version must be {FORMAT_VERSION}; got {config['format_version']}. "
            "Another version of zoo wrote this preset: use that one."
        )
    choose("family", config["family"], FAMILIES, path)
    choose_task(config["family"], config["task"], path)
    for fact, text in config["card"].items():
        if not isinstance(text, str):
            raise ValueError(f"{path}: card.{fact[:80]} must be text; got {shown(text)}.")
    for section, cls in (
        ("backbone", FAMILIES[config["family"]]),
        ("task_arguments", TASKS[config["task"]]),
    ):
        check_arguments(cls, config[section], f"{path}: {section}")
    return config


def choose(what, name, table, source):
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{source}: {what} must be one of {', '.join(table)}; got {shown(name)}.")


def choose_task(family, task, source):
    """Raise ValueError unless there is such a task, and this family can do it."""
    choose("task", task, TASKS, source)
    names = FAMILY_TASKS.get(family, ENCODER_TASKS)
    if task not in names:
        raise ValueError(
            f"{source}: the task of a {family} model must be one of {', '.join(names)}; got {task}."
        )


def check_arguments(cls, arguments, source):
    """Names, types and ranges of constructor arguments."""
    parameters = argument_names(cls)
    for name, value in arguments.items():
        if name not in parameters:
            raise ValueError(
                f"{source} has an unknown argument {name[:80]!r}. "
                f"{hub.suggestion(name, parameters)}{cls.__name__} takes {', '.join(parameters)}."
            )
        check_argument(name, value, parameters[name], source)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{source} must give {name!r}, which {cls.__name__} needs.")
    num_heads, hidden_dim = arguments.get("num_heads"), arguments.get("hidden_dim")
    if num_heads and hidden_dim and hidden_dim % num_heads:
        raise ValueError(
            f"{source}: hidden_dim must be a multiple of num_heads; got {hidden_dim} and "
            f"{num_heads}."
        )


def check_argument(name, value, parameter, source):
    if value is None and parameter.default is None:
        return
    kind, *limits = ARGUMENTS[name]
    if kind is int:
        fits = type(value) is int and limits[0] <= value <= limits[1]
        expected = f"an integer from {limits[0]} to {limits[1]}"
    elif kind is bool:
        fits, expected = type(value) is bool, "true or false"
    elif kind is list:
        fits, expected = is_labels(value), "a list of at least two different names"
    elif kind is float:
        fits = type(value) in (int, float) and limits[0] <= value <= limits[1]
        expected = f"a number from {limits[0]} to {limits[1]}"
    else:
        fits = value in ARGUMENTS[name]
        expected = f"one of {', '.join(map(str, ARGUMENTS[name]))}"
    if not fits:
        raise ValueError(f"{source}: {name} must be {expected}; got {shown(value)}.")


def is_labels(value):
    if not isinstance(value, (list, tuple)) or len(value) > MAX_LABELS:
        return False
    try:
        return bool(check_labels_list(value))
    except ValueError:
        return False


def argument_names(cls):
    """`{name: inspect.Parameter}` of what a config may give to a constructor."""
    parameters = inspect.signature(cls.__init__).parameters
    return {name: p for name, p in parameters.items() if name not in MADE_BY_LOAD}


def apply_overrides(config, task, overrides):
    """The two dicts of constructor arguments, checked."""
    classes = {"backbone": FAMILIES[config["family"]], "task_arguments": TASKS[task]}
    arguments = {"backbone": config["backbone"], "task_arguments": {}}
    if task == config["task"]:
        arguments["task_arguments"] = config["task_arguments"]
    known = [name for cls in classes.values() for name in argument_names(cls)]
    for name in overrides:
        if name not in [*known, "tokenizer"]:
            raise TypeError(
                f"zoo.load got an unknown override {name!r}. {hub.suggestion(name, known)}"
                f"This preset takes {', '.join([*known, 'tokenizer'])}."
            )
    for section, cls in classes.items():
        changed = {name: overrides[name] for name in argument_names(cls) if name in overrides}
        if isinstance(changed.get("dtype"), keras.DTypePolicy):
            changed["dtype"] = changed["dtype"].name
        arguments[section] = {**arguments[section], **changed}
        check_arguments(cls, arguments[section], "zoo.load")
    return arguments


def shown(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
