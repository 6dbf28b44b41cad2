"""Whole training states in one safetensors file: weights, optimizer and step."""

import os
from pathlib import Path

import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def save_checkpoint(path, model):
    """Write weights and optimizer state; a crash in the middle leaves the old file whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    arrays = {name: keras.ops.convert_to_numpy(v.value) for name, v in _state(model).items()}
    save_file({name: np.array(a, order="C") for name, a in arrays.items()}, partial)
    with open(partial, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def restore_checkpoint(path, model):
    """Put a saved state into a compiled model of the same shape; returns the step it was at."""
    with safe_open(path, framework="np") as file:
        state = _state(model)
        missing = state.keys() ^ set(file.keys())
        if missing:
            raise ValueError(
                f"The checkpoint {path} belongs to another model or optimizer: "
                f"{len(missing)} names differ, such as {sorted(missing)[0]!r}."
            )
        for name, variable in state.items():
            variable.assign(file.get_tensor(name).reshape(variable.shape))
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


def _state(model):
    model.optimizer.build(model.trainable_variables)
    weights = {f"model/{v.path}": v for v in model.weights}
    optimizer = {f"optimizer/{i}/{v.path}": v for i, v in enumerate(model.optimizer.variables)}
    return weights | optimizer
