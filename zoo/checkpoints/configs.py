"""The config.json of transformers: what of it makes a preset, and what ours cannot follow."""

from pathlib import Path

from zoo import hub
from zoo.arguments import shown
from zoo.checkpoints.families import FOREIGN
from zoo.checkpoints.sentence_transformers import is_embedder
from zoo.config import FORMAT_VERSION, OPTIONAL_SECTIONS, SECTIONS, check_arguments, read_object

SUPPORTED = (
    f"Supported are encoders with model_type {', '.join(FOREIGN)}, exact GELU, absolute positions "
    "and attention in both directions."
)


def is_foreign(folder):
    """Whether a folder's config.json is one of transformers.

    False for one that cannot be read: `zoo.config.read_config` says why.
    """
    try:
        config = read_object(Path(folder) / hub.CONFIG_NAME)
    except (OSError, ValueError):
        return False
    return "model_type" in config and "format_version" not in config


def read_config(folder):
    """The contents of a preset's config.json that describes their model.

    Its task is that of their class; `"embedding"` where that has no head, or where
    sentence-transformers has left its files.

    Args:
        folder: the path of a folder.

    Returns:
        A dict with every section, checked, as from `zoo.config.read_config`.

    Raises:
        ValueError: damaged, or a model that ours cannot stand for.
    """
    folder = Path(folder)
    path = folder / hub.CONFIG_NAME
    theirs, family = read_theirs(folder)
    task = task_of(theirs, family, path)
    if is_embedder(folder):
        task = "embedding"
    backbone = {}
    for argument, key in family.arguments.items():
        value = theirs.get(key, family.defaults.get(key))
        if value is None:
            raise ValueError(f"{path} must give {key!r}, which a {family.name} model needs.")
        backbone[argument] = value
    if type(backbone["max_length"]) is int:  # what is no number is refused below
        backbone["max_length"] -= family.rows_before
    # Attention dropout stays at our 0.0: above it, training leaves the fused attention kernel.
    arguments = task_arguments(task, theirs, family, path)
    config = {
        **{section: SECTIONS[section]() for section in OPTIONAL_SECTIONS},
        "format_version": FORMAT_VERSION,
        "family": family.name,
        "task": task,
        "backbone": backbone,
        "task_arguments": arguments,
    }
    check_arguments(config, f"{path}, read as a preset")
    return config


def read_theirs(folder):
    """Their config and its `Family`; raises ValueError for what ours cannot follow."""
    path = folder / hub.CONFIG_NAME
    theirs = read_object(path)
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in FOREIGN:
        raise ValueError(
            f"{path}: model_type must be one of {', '.join(FOREIGN)}; got {shown(kind)}. "
            f"{SUPPORTED}"
        )
    family = FOREIGN[kind]
    width = theirs.get(family.arguments["hidden_dim"])
    for key, needed in {**family.fixed, "embedding_size": width}.items():
        value = theirs.get(key)
        if value is not None and value != needed:
            raise ValueError(
                f"{path}: {key} must be {needed!r}, or our numbers would not be theirs; got "
                f"{shown(value)}. {SUPPORTED}"
            )
    return theirs, family


def task_of(theirs, family, path):
    """The task that their class was made for."""
    classes = theirs.get("architectures") or [next(iter(family.architectures))]
    name = classes[0] if isinstance(classes, list) else classes
    if not isinstance(name, str) or name not in family.architectures:
        raise ValueError(
            f"{path}: architectures must name one of {', '.join(family.architectures)}; got "
            f"{shown(name)}. Save its backbone alone with transformers."
        )
    return family.architectures[name]


def task_arguments(task, theirs, family, path):
    """What their config says of a task's constructor."""
    if task not in ("text_classification", "token_classification"):
        return {}
    kind = theirs.get("problem_type")
    if kind not in (None, "single_label_classification"):
        raise ValueError(
            f"{path}: problem_type must be 'single_label_classification', one label of several; "
            f"got {shown(kind)}."
        )
    rates = [theirs[key] for key in family.head_dropout if theirs.get(key) is not None]
    return {"labels": labels(theirs, path), "head_dropout": rates[0]}


def labels(theirs, path):
    """The names of the classes in the order of the logits."""
    names = theirs.get("id2label")
    if names is None:
        return ["LABEL_0", "LABEL_1"]  # so transformers calls them, and leaves them out
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(len(names))}:
        raise ValueError(
            f"{path}: id2label must name the classes 0, 1, 2 and so on; got {shown(names)}."
        )
    return [names[str(i)] for i in range(len(names))]
