"""A task as a KerasHub preset: `zoo.save(model, folder, format="keras_hub")`."""

import json
import warnings
from importlib.metadata import version

import keras
import numpy as np

from zoo import hub
from zoo.checkpoints.configs import check_constant, their_backbone_arguments
from zoo.checkpoints.engine import TheirTensors
from zoo.checkpoints.keras_hub.families import FAMILIES
from zoo.checkpoints.keras_hub.objects import serialized
from zoo.checkpoints.keras_hub.reading import METADATA_NAME, TASK_NAME
from zoo.checkpoints.keras_hub.tokenizers import ASSETS, write_tokenizer
from zoo.checkpoints.keras_hub.weights import INDEX, MODEL, TASK, write_weights

PREPROCESSOR_NAME = "preprocessor.json"
WRITTEN = (MODEL, TASK, INDEX, TASK_NAME, METADATA_NAME, PREPROCESSOR_NAME, ASSETS.split("/")[0])
WRITTEN_FOR = "0.32"  # of KerasHub, whose names of classes and weights these are
POOLER = "layers/dense/vars/"


def write_folder(model, folder, weights_dtype=None, max_shard_size=None):
    """Write a task into an empty folder; what does not fit is refused before anything is written.

    Args:
        model: a task.
        folder: a Path.
        weights_dtype: must be None: their files hold the dtype of the model.
        max_shard_size: not used: HDF5 is written as one file.

    Raises:
        ValueError: there is no such model in KerasHub.
    """
    if weights_dtype is not None:
        raise ValueError(
            "weights_dtype is not for format='keras_hub': KerasHub chooses a dtype where it loads."
        )
    family, config = family_of(model)
    backbone = serialized(family.name, {"name": "backbone", **config})
    write_json(folder / hub.CONFIG_NAME, {**backbone, "zoo_version": version("keras-zoo")})
    preprocessor = None
    task = type(model).task_name
    if model.tokenizer is not None and family.tokenizer is not None:
        try:
            tokenizer = write_tokenizer(model.tokenizer, family.tokenizer, folder)
        except ValueError as error:
            raise ValueError(f"KerasHub has no tokenizer that is this one: {error}.") from None
        if task in family.preprocessors:
            settings = {"name": "preprocessor", "tokenizer": tokenizer}
            settings |= {"config_file": PREPROCESSOR_NAME}
            preprocessor = serialized(family.preprocessors[task], settings)
            write_json(folder / PREPROCESSOR_NAME, preprocessor)
    cls = family.class_for(task)
    if cls != family.bare:
        settings = {"name": "task", "backbone": backbone, "preprocessor": preprocessor}
        write_json(folder / TASK_NAME, serialized(cls, settings | head_of(model)))
    write_json(folder / METADATA_NAME, metadata(model))
    with TheirTensors(model, family) as tensors:
        write_weights(folder, tensors, pooler_of(model, family, tensors.names))


def family_of(model):
    """The `HubFamily` that a task can be written as, and their config of its backbone."""
    ours, reasons = type(model.backbone).family, []
    task = type(model).task_name
    for family in FAMILIES.values():
        if family.family != ours:
            continue
        try:
            if family.class_for(task) is None or task in family.refused_heads:
                raise ValueError(f"it has no {task} like ours")
            for name, value in family.task_constants.get(task, {}).items():
                check_constant(name, getattr(model, name), {name: value})
            return family, {**family.fixed, **their_backbone_arguments(model.backbone, family)}
        except ValueError as error:
            reasons.append(f"{family.name}: {error}")
    if not reasons:
        reasons = [f"it knows {', '.join(family.family for family in FAMILIES.values())}"]
    raise ValueError(
        f"KerasHub has no model that is this {type(model).__name__} over a "
        f"{type(model.backbone).__name__} ({'; '.join(reasons)}). zoo.save(model, folder) writes a "
        "preset."
    )


def head_of(model):
    """What their config says of a classifier."""
    if type(model).task_name != "text_classification":
        return {}
    if model.problem not in ("single_label", "regression"):
        raise ValueError(
            f"A classifier of KerasHub has one label of several, or a number; got {model.problem}."
        )
    return {
        "num_classes": len(model.labels),
        "activation": "linear",
        "dropout": model.head_dropout,
    }


def metadata(model):
    facts = {
        "keras_version": keras.version(),
        "keras_hub_version": WRITTEN_FOR,
        "parameter_count": model.backbone.count_params(),
        "zoo_version": version("keras-zoo"),
    }
    labels = getattr(model, "labels", None)
    return facts | ({"labels": list(labels)} if labels else {})  # which theirs has no place for


def pooler_of(model, family, names):
    """The pooler of a BERT that has none: zeros, with a warning."""
    needed = family.table(type(model).task_name).get("pooler/dense/kernel")
    if needed is None or not needed.names[0].startswith(POOLER) or needed.names[0] in names:
        return {}
    warnings.warn(
        "This model has no pooler, and a BERT of KerasHub has one: its pooled_output is zeros.",
        stacklevel=2,
    )
    size = model.backbone.hidden_dim
    return {
        f"{POOLER}0": np.zeros((size, size), "float32"),
        f"{POOLER}1": np.zeros(size, "float32"),
    }


def write_json(path, contents):
    path.write_text(json.dumps(contents, indent=4) + "\n", encoding="utf-8")
