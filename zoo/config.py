"""The config.json of a preset: read, checked, and what may be changed about it.

A config names no class and no module: it chooses a family and a task by their names, and each value
is checked as their classes declare it, before anything is made.
"""

import hashlib
import json
import re

import keras

from zoo import arguments, hub
from zoo.checks import shown
from zoo.data.labels import check_labels_list
from zoo.generation import get_sampler
from zoo.generation.usual import check_usual
from zoo.models import FAMILIES
from zoo.tasks import TASKS
from zoo.tensors.checks import strict_json
from zoo.tokenizers import SpecialTokens

FORMAT_VERSION = 1
MAX_CONFIG_BYTES = 2**20

SECTIONS = {
    "format_version": int,
    "family": str,
    "task": str,
    "backbone": dict,
    "task_arguments": dict,
    "special_tokens": dict,  # of the task, where they are not the tokenizer's usual ones
    "tokenizer": str,  # its fingerprint
    "sampler": dict,  # that `generate` uses, where it is not the greedy one
    "request": dict,  # what else `generate` is asked for, where a call says nothing
    "frozen": list,  # paths of layers that are not trained
    "quantization": str,  # how matrices are kept, where they are not floats
    "card": dict,
}
OPTIONAL_SECTIONS = (
    "task_arguments",
    "special_tokens",
    "tokenizer",
    "sampler",
    "request",
    "frozen",
    "quantization",
    "card",
)
QUANTIZATION = re.compile(r"|int8|int4/[1-9]\d{0,5}")
JSON_NAMES = {int: "an integer", str: "a text", dict: "an object", list: "a list"}

# What others call our arguments, and what to use here.
OTHER_NAMES = {
    "num_labels": "labels=['a', 'b'], a name for each class",
    "num_classes": "labels=['a', 'b'], a name for each class",
    "id2label": "labels=['a', 'b'], the names in order",
    "torch_dtype": "dtype='bfloat16', or another policy of Keras",
    "max_seq_length": "sequence_length=128, or max_length for the longest text of all",
    "load_weights": "weights=True or False",
    "pretrained": "weights=True or False",
}


def read_config(path):
    """The checked contents of a config.json, with every section there."""
    config = read_object(path)
    for section in config:
        if section not in SECTIONS:
            raise ValueError(
                f"{path}: unknown field {section[:80]!r}. {hub.suggestion(section, SECTIONS)}"
                f"The fields are {', '.join(SECTIONS)}."
            )
    config = {**{section: SECTIONS[section]() for section in OPTIONAL_SECTIONS}, **config}
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
    for name in config["frozen"]:
        if not isinstance(name, str):
            raise ValueError(f"{path}: frozen must list names; got {shown(name)}.")
    if not QUANTIZATION.fullmatch(config["quantization"]):
        raise ValueError(
            f"{path}: quantization must be int8, or int4/ and the size of its groups; got "
            f"{shown(config['quantization'])}."
        )
    if config["task"] == "text_classification":  # before it was a choice, each head had a bias
        config["task_arguments"].setdefault("head_bias", True)
    check_arguments(config, path)
    check_special_tokens(config, path)
    check_sampler(config, path)
    return config


def read_object(path):
    """The JSON object in a small file."""
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} must be at most {MAX_CONFIG_BYTES} bytes; got {size}.")
    return strict_json(path.read_bytes(), path)


def choose(what, name, table, source):
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{source}: {what} must be one of {', '.join(table)}; got {shown(name)}.")


def choose_task(family, task, source):
    """Raise ValueError unless there is such a task, and this family can do it."""
    choose("task", task, TASKS, source)
    names = FAMILIES[family].tasks
    if task not in names:
        raise ValueError(
            f"{source}: the task of a {family} model must be one of {', '.join(names)}; got {task}."
        )


def check_arguments(config, source):
    """Raise ValueError unless the two classes take what a config gives to their constructors."""
    for section, cls in classes(config).items():
        arguments.check(cls, config[section], f"{source}: {section}")


def check_sampler(config, source):
    for section, check in (("sampler", get_sampler), ("request", check_usual)):
        try:
            check(config[section])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: {section} is not sound: {error}") from None


def check_special_tokens(config, source):
    try:
        SpecialTokens(**config["special_tokens"]).check(config["backbone"]["vocab_size"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: special_tokens are not sound: {error}") from None


def classes(config):
    """The class that each section of a config has the constructor's arguments of."""
    return {"backbone": FAMILIES[config["family"]], "task_arguments": TASKS[config["task"]]}


def with_overrides(config, task, overrides):
    """A config for a task, with arguments changed by name, checked.

    Raises:
        TypeError: a name that neither class takes.
        ValueError: a value that does not fit.
    """
    changed = {**config, "task": task}
    if task != config["task"]:
        changed |= {"task_arguments": {}, "sampler": {}, "request": {}, "frozen": []}
    known = [name for cls in classes(changed).values() for name in arguments.taken(cls)]
    known += ["tokenizer", "special_tokens"]
    for name in overrides:
        if name not in known:
            hint = f"Use {OTHER_NAMES[name]}. " if name in OTHER_NAMES else ""
            raise TypeError(
                f"zoo.load got an unknown override {name[:80]!r}. "
                f"{hint or hub.suggestion(name, known)}This preset takes {', '.join(known)}."
            )
    for section, cls in classes(changed).items():
        given = {name: overrides[name] for name in arguments.taken(cls) if name in overrides}
        if isinstance(given.get("dtype"), keras.DTypePolicy):
            given["dtype"] = given["dtype"].name
        if hasattr(given.get("labels"), "tolist"):  # of NumPy or pandas
            given["labels"] = check_labels_list(given["labels"].tolist())
        changed[section] = {**changed[section], **given}
        arguments.check(cls, changed[section], "zoo.load")
    return changed


def fingerprint(tokenizer):
    """What tells tokenizers apart, a text; equal ones, however their files are written, share it.

    It is the SHA-256 of its JSON with sorted keys.
    """
    contents = json.dumps(json.loads(tokenizer.to_json()), sort_keys=True)
    return hashlib.sha256(contents.encode()).hexdigest()
