"""The config.json of transformers, both ways, by the tables of a family.

read_config(folder)             theirs, as the contents of a preset's config.json
make_config(model, family)      ours, as the contents of their config.json
"""

from pathlib import Path

from zoo import hub
from zoo.arguments import taken
from zoo.checkpoints import refusals
from zoo.checkpoints.families import FOREIGN
from zoo.checkpoints.rows import all_arguments
from zoo.checkpoints.sentence_transformers import is_embedder
from zoo.checkpoints.tables import keys
from zoo.checks import shown
from zoo.config import FORMAT_VERSION, OPTIONAL_SECTIONS, SECTIONS, check_arguments, read_object

PROBLEM_TYPES = {
    "single_label_classification": "single_label",
    "multi_label_classification": "multi_label",
    "regression": "regression",
}
UNSAID = ("dtype", "name")  # arguments of a backbone that no table of config keys has


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
    return preset_config(theirs, family, task, path)


def preset_config(theirs, family, task, path):
    """The same of a dict, whatever file it is from: `path` is what errors call it."""
    config = {
        **{section: SECTIONS[section]() for section in OPTIONAL_SECTIONS},
        "format_version": FORMAT_VERSION,
        "family": family.family,
        "task": task,
        "backbone": backbone_arguments(theirs, family, path),
        "task_arguments": task_arguments(task, theirs, family, path),
    }
    check_arguments(config, f"{path}, read as a preset")
    return config


def backbone_arguments(theirs, family, path):
    """What their config says of our backbone's constructor.

    Attention dropout stays at our 0.0: above it, training leaves the fused attention kernel.
    """
    found = dict(family.constants)
    for argument, key in keys(family.arguments).items():
        if not key.is_read:
            continue
        try:
            value = key.to_ours(theirs)
        except ValueError as error:
            raise ValueError(f"{path}: {error}, for a {family.name} model.") from None
        found |= value if isinstance(argument, tuple) else {argument: value}
    return found


def read_theirs(folder):
    """Their config and its `Family`; raises ValueError for what ours cannot follow."""
    path = Path(folder) / hub.CONFIG_NAME
    theirs = read_object(path)
    refusals.check_family(theirs, path)
    family = FOREIGN[theirs["model_type"]]
    refusals.check_scheme(theirs, path)
    for key, needed in family.fixed.items():
        value = theirs.get(key)
        if value is not None and value != needed:
            raise ValueError(
                f"{path}: {key} must be {needed!r}, or our numbers would not be theirs; got "
                f"{shown(value)}. Load a {family.name} checkpoint that has it."
            )
    return theirs, family


def class_of(theirs, family, path):
    """The name of the class that a folder was saved from."""
    classes = theirs.get("architectures") or [family.bare]
    name = classes[0] if isinstance(classes, list) else classes
    if not isinstance(name, str) or name not in family.architectures:
        raise ValueError(
            f"{path}: architectures must name one of {', '.join(family.architectures)}; got "
            f"{shown(name)}. Save its backbone alone with transformers."
        )
    return name


def task_of(theirs, family, path):
    """The task that their class was made for."""
    return family.architectures[class_of(theirs, family, path)]


def task_arguments(task, theirs, family, path):
    """What their config says of a task's constructor."""
    found = dict(family.task_constants.get(task, {}))
    if task not in ("text_classification", "token_classification"):
        return found
    found["labels"] = labels(theirs, family, path)
    keys = family.head_dropout.get(task, ())
    rates = [theirs[key] for key in keys if theirs.get(key) is not None]
    if rates or not keys:
        found["head_dropout"] = rates[0] if rates else 0.0
    if task == "text_classification":
        found["problem"] = problem(theirs, found["labels"], path)
    return found


def problem(theirs, labels, path):
    """What a classifier's numbers mean; where their config does not say, their count does."""
    kind = theirs.get("problem_type")
    if kind is None:
        return "single_label" if len(labels) > 1 else "regression"
    if not isinstance(kind, str) or kind not in PROBLEM_TYPES:
        raise ValueError(
            f"{path}: problem_type must be one of {', '.join(PROBLEM_TYPES)}; got {shown(kind)}."
        )
    return PROBLEM_TYPES[kind]


def labels(theirs, family, path):
    """The names of the classes in the order of the logits."""
    names = theirs.get("id2label")
    if names is None:
        # So transformers calls them, and leaves them out.
        return [f"LABEL_{i}" for i in range(family.num_labels)]
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(len(names))}:
        raise ValueError(
            f"{path}: id2label must name the classes 0, 1, 2 and so on; got {shown(names)}."
        )
    return [names[str(i)] for i in range(len(names))]


def make_config(model, family):
    """The contents of their config.json for a task, without its special tokens.

    Raises:
        ValueError: an argument of the backbone or the task that a model of theirs cannot have.
    """
    task = type(model).task_name
    cls = family.class_for(task)
    if cls is None:
        known = ", ".join(dict.fromkeys(family.architectures.values()))
        raise ValueError(f"of its tasks they know {known}, and this is {task}")
    config = {"model_type": family.name, "architectures": [cls], **family.fixed}
    config |= their_backbone_arguments(model.backbone, family)
    for name, value in family.task_constants.get(task, {}).items():
        check_constant(name, getattr(model, name), {name: value})
    config |= their_task_arguments(model, family)
    config["dtype"] = model.backbone.dtype_policy.variable_dtype
    return {name: value for name, value in config.items() if value is not None}


def their_backbone_arguments(backbone, family):
    """What their config says of our backbone's arguments, all of which it must say."""
    arguments, config, said = all_arguments(backbone), {}, set(UNSAID)
    for argument, key in keys(family.arguments).items():
        names = argument if isinstance(argument, tuple) else (argument,)
        said.update(names)
        try:
            value = arguments if isinstance(argument, tuple) else arguments[argument]
            config |= key.to_theirs(value)
        except ValueError as error:
            raise ValueError(f"its {' and '.join(names)} do not fit: {error}") from None
    for name in taken(type(backbone)):
        if name not in said:
            check_constant(name, arguments[name], family.constants)
    return config


def check_constant(name, value, constants):
    if name not in constants:
        raise ValueError(f"its {name} has no place there")
    if value != constants[name]:
        raise ValueError(f"its {name} must be {constants[name]!r}; got {shown(value)}")


def their_task_arguments(model, family):
    """What their config says of a task: its labels, and the dropout before its head."""
    task = type(model).task_name
    if task not in ("text_classification", "token_classification"):
        return {}
    config = {
        "id2label": {str(i): label for i, label in enumerate(model.labels)},
        "label2id": {label: i for i, label in enumerate(model.labels)},
    }
    for key in family.head_dropout.get(task, ())[:1]:
        config[key] = model.head_dropout
    if task == "text_classification":
        names = {ours: theirs for theirs, ours in PROBLEM_TYPES.items()}
        config["problem_type"] = names[model.problem]
    return config
