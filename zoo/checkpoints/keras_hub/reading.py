"""A KerasHub preset, read as if it were one of ours."""

import dataclasses
from pathlib import Path

from zoo import hub
from zoo.checkpoints import engine
from zoo.checkpoints.configs import preset_config
from zoo.checkpoints.keras_hub.families import FAMILIES
from zoo.checkpoints.keras_hub.objects import config_of, is_object, read
from zoo.checkpoints.keras_hub.tokenizers import read_tokenizer as tokenizer_in
from zoo.checkpoints.keras_hub.weights import HubTensors, weight_files
from zoo.checkpoints.tables import keys
from zoo.checks import shown
from zoo.shared_weights import warn_of_new_heads
from zoo.tasks import TASKS
from zoo.tokenizers import SpecialTokens

TASK_NAME, METADATA_NAME = "task.json", "metadata.json"
SAYS_NOTHING = ("name", "trainable", "dtype")
ACTIVATIONS = (None, "linear", "softmax")  # of a classifier: ours gives logits for all
MAX_CLASSES = 2**16


def is_preset(folder):
    """Whether a folder's config.json is one of KerasHub; False for one that cannot be read."""
    path = Path(folder) / hub.CONFIG_NAME
    try:
        return is_object(read(path))
    except (OSError, ValueError):
        return False


def read_theirs(folder):
    """`(family, config of the backbone, their class, config of the task or None)`."""
    path = folder / hub.CONFIG_NAME
    name, config = config_of(read(path), path)
    if name not in FAMILIES:
        raise ValueError(
            f"{path}: class_name must be one of {', '.join(FAMILIES)}; got {shown(name)}. "
            f"{hub.suggestion(name, FAMILIES)}Other families of KerasHub cannot be loaded."
        )
    family = FAMILIES[name]
    check_config(config, family, path)
    cls, task = family.bare, None
    path = folder / TASK_NAME
    if path.exists():
        cls, task = config_of(read(path), path)
        if cls not in family.architectures:
            raise ValueError(
                f"{path}: class_name must be one of {', '.join(family.architectures)}; got "
                f"{shown(cls)}. Without this file the backbone alone is loaded."
            )
    return family, config, cls, task


def check_config(config, family, path):
    """Refuse what their config says and ours cannot follow."""
    said = {key.name for key in keys(family.arguments).values() if hasattr(key, "name")}
    for key, value in config.items():
        if key in family.fixed and value not in (None, family.fixed[key]):
            raise ValueError(
                f"{path}: {key} must be {family.fixed[key]!r}, or our numbers would not be theirs; "
                f"got {shown(value)}."
            )
        if key not in said and key not in family.fixed and key not in SAYS_NOTHING:
            raise ValueError(
                f"{path}: {key[:80]!r} is not known of a {family.name}, so our numbers might not "
                "be theirs. Use a preset of KerasHub 0.32 or older."
            )


def read_config(folder):
    """The contents of a preset's config.json that describes their model, checked."""
    folder = Path(folder)
    family, config, cls, task = read_theirs(folder)
    theirs = dict(config)
    if family.own_head and "tie_word_embeddings" not in config:  # which KerasHub does not write
        theirs["tie_word_embeddings"] = is_tied(folder, family)
    if family.architectures[cls] == "text_classification":
        theirs |= head_of_classifier(task, folder)
    path = folder / hub.CONFIG_NAME
    return preset_config(theirs, family, family.architectures[cls], path)


def is_tied(folder, family):
    """Whether a preset's head is its table, by its weights."""
    try:
        with HubTensors(folder) as tensors:
            return family.own_head not in tensors.names
    except FileNotFoundError:  # an architecture alone
        return False


def head_of_classifier(task, folder):
    """What a classifier's config says, in the words of transformers."""
    path, count = folder / TASK_NAME, task.get("num_classes")
    if type(count) is not int or not 1 <= count <= MAX_CLASSES:
        raise ValueError(
            f"{path}: num_classes must be from 1 to {MAX_CLASSES}; got {shown(count)}."
        )
    if task.get("activation") not in ACTIVATIONS:
        raise ValueError(
            f"{path}: activation must be one of {', '.join(map(str, ACTIVATIONS))}; got "
            f"{shown(task['activation'])}."
        )
    metadata = folder / METADATA_NAME
    labels = read(metadata).get("labels") if metadata.exists() else None
    if not (isinstance(labels, list) and len(labels) == count):
        labels = [f"LABEL_{i}" for i in range(count)]
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "head_dropout": task.get("dropout"),
        "problem_type": "single_label_classification" if count > 1 else "regression",
    }


def find_weights(folder):
    """Raise FileNotFoundError that says what must be there, where there are no weights."""
    weight_files(Path(folder))


def read_tokenizer(folder):
    """The tokenizer of a preset, or None where it has none."""
    return tokenizer_in(Path(folder))


def read_special_tokens(folder, tokenizer, vocab_size):
    """Those of its tokenizer; BART's targets begin as its preprocessor has them."""
    family, *_ = read_theirs(Path(folder))
    special = SpecialTokens.of(tokenizer)
    if family.family == "bart" and tokenizer is not None:
        return dataclasses.replace(special, decoder_start=special.end, target_start=special.start)
    return special


def load_weights(model, folder, backbone_only=False, is_checked=False):
    """Fill a task from their weights; see `zoo.checkpoints.load_weights`."""
    folder = Path(folder)
    family, _, cls, _ = read_theirs(folder)
    saved_for = family.architectures[cls]
    is_own_task = type(model) is TASKS[saved_for] and not backbone_only
    if is_own_task and saved_for in family.refused_heads:
        _, reason = family.refused_heads[saved_for]
        raise ValueError(
            f"{folder}: the head of a {cls} cannot be converted: {reason}. Load its backbone for "
            "another task, such as task='embedding'."
        )
    must_have_heads = is_own_task and cls != family.bare
    heads = "none" if backbone_only else "all" if must_have_heads else "shared"
    with HubTensors(folder) as tensors:
        missing = engine.fill(model, tensors, family, saved_for, heads, folder)
    if heads == "shared":
        warn_of_new_heads(folder, missing)
