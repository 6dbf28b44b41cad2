"""Weights of a preset in a task that may be another than it was saved from."""

import warnings

from zoo import weights as weight_files
from zoo.data.texts import user_level
from zoo.tasks import TASKS, BertPretrainer, MaskedLM

HEADS = {head for task in TASKS.values() for head in task.heads}


def load_shared_weights(model, path, heads, is_checked=False):
    """Fill a task from the file of a preset, which may have been another task's.

    The backbone is always filled. A head that only the file has is left out.

    Args:
        model: a task.
        path: the file.
        heads: `"all"` for a file of this very task, which must hold every head; `"shared"` to fill
            those that it holds; `"none"` to leave all of them at random.
        is_checked: bool, whether the file is known to be what was saved.
    """
    own, there = head_names(model), weight_files.names(path)
    heads_there = {head_of(name) for name in there} & HEADS
    missing = {
        "all": set(),
        "shared": {name for name in own if head_of(name) not in heads_there},
        "none": own,
    }[heads]
    filled = {head_of(name) for name in own - missing}  # with all that the file has of them
    unknown = {name for name in there if head_of(name) in HEADS - filled}
    if heads == "shared":
        warn_of_random_heads(model, path, missing)
    weight_files.load_weights(model, path, missing, unknown, is_checked)


def head_names(model):
    """The names of a task's weights that are not its backbone's, a set."""
    return {v.path for v in model.weights} - {v.path for v in model.backbone.weights}


def head_of(name):
    """The head that a weight is of."""
    return name.split("/")[0]


def warn_of_random_heads(model, path, missing):
    """Say which heads are of no use yet, where they are what a model is loaded for."""
    if type(model) in (MaskedLM, BertPretrainer):
        warn_of_new_heads(path, missing)


def warn_of_new_heads(path, missing):
    """Say which heads are of no use yet."""
    if missing:
        warnings.warn(
            f"{path} has no weights for {', '.join(sorted(set(map(head_of, missing))))}, "
            "which start at random: train the model before you use it.",
            stacklevel=user_level(),
        )
