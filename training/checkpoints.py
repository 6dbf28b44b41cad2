"""Whole training states in one safetensors file: weights, optimizer, its step, random numbers."""

import re

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zoo.backends import backend
from zoo.files import replacing

OWN_RANDOM = "random/backend/"  # a backend's own generators, which another backend does not have


def save_checkpoint(path, model):
    """Write weights, optimizer and random state; a crash in the middle leaves the old file whole.

    Raises:
        OSError: naming the file, if it cannot be written, as on a full disk.
    """
    arrays = {name: keras.ops.convert_to_numpy(v.value) for name, v in _state(model).items()}
    arrays |= {OWN_RANDOM + name: state for name, state in backend.random_state().items()}
    with replacing(path) as scratch:
        try:
            save_file({name: np.array(array, order="C") for name, array in arrays.items()}, scratch)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else 0, str(error)) from None


def restore_checkpoint(path, model):
    """Put a saved state into a compiled model of the same shape; returns the step it was at.

    From there on it trains as the run that saved it: dropout, too, goes on as it would have. A
    checkpoint of another backend has other random numbers, and is taken without them.
    """
    own = _restore(path, _state(model))
    backend.set_random_state(own)
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations.value))


def restore_weights(path, model):
    """Put the weights of a saved state into a model, compiled in whatever way."""
    _restore(path, _weights(model), ignored=("optimizer/", "random/"))


def _restore(path, state, ignored=()):
    with safe_open(path, framework="np") as file:
        names = {name for name in file.keys() if not name.startswith(ignored)}  # noqa: SIM118
        own = {name for name in names if name.startswith(OWN_RANDOM)}
        different = sorted(state.keys() ^ (names - own))
        if different:
            raise ValueError(
                f"The checkpoint {path} belongs to another model or optimizer: "
                f"{len(different)} names differ, such as {different[0]!r}."
            )
        for name, variable in state.items():
            variable.assign(file.get_tensor(name).reshape(variable.shape))
        return {name.removeprefix(OWN_RANDOM): file.get_tensor(name) for name in own}


def _state(model):
    model.optimizer.build(model.trainable_variables)
    # Not by the optimizer's own name: the second one that a process makes is called "adam_w_1".
    names = (variable.path.partition("/")[2] for variable in model.optimizer.variables)
    numbered = enumerate(zip(names, model.optimizer.variables, strict=True))
    optimizer = {f"optimizer/{i}/{name}": variable for i, (name, variable) in numbered}
    seeds = [v for v in model.variables if v.name == "seed_generator_state"]
    return _weights(model) | optimizer | {f"random/{i}": v for i, v in enumerate(seeds)}


def _weights(model):
    return {f"model/{v.path}": v for v in model.weights}
