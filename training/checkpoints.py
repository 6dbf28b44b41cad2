"""Whole training states in one safetensors file: weights, optimizer and its step."""

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
    save_file({name: np.array(array, order="C") for name, array in arrays.items()}, partial)
    with open(partial, "r+b") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def restore_checkpoint(path, model):
    """Put a saved state into a compiled model of the same shape; returns the step it was at."""
    _restore(path, _state(model))
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations.value))


def restore_weights(path, model):
    """Put the weights of a saved state into a model, compiled in whatever way."""
    _restore(path, _weights(model), ignore="optimizer/")


def _restore(path, state, ignore=None):
    with safe_open(path, framework="np") as file:
        names = {name for name in file.keys() if not (ignore and name.startswith(ignore))}  # noqa: SIM118
        different = sorted(state.keys() ^ names)
        if different:
            raise ValueError(
                f"The checkpoint {path} belongs to another model or optimizer: "
                f"{len(different)} names differ, such as {different[0]!r}."
            )
        for name, variable in state.items():
            variable.assign(file.get_tensor(name).reshape(variable.shape))


def _state(model):
    model.optimizer.build(model.trainable_variables)
    optimizer = {f"optimizer/{i}/{v.path}": v for i, v in enumerate(model.optimizer.variables)}
    return _weights(model) | optimizer


def _weights(model):
    return {f"model/{v.path}": v for v in model.weights}
