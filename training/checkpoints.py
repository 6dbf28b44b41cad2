"""Whole training states as named arrays: weights, optimizer, random numbers, running metrics."""

import re

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zoo.backends import backend
from zoo.backends.world import WORLD
from zoo.files import replacing

OWN_RANDOM = "random/backend/"  # a backend's own generators, which another backend does not have
METRICS = "metrics/"
PASSING = ("random/", "state/", METRICS)  # what the beginning of an epoch may draw from or reset


def save_checkpoint(path, model):
    """Write weights, optimizer and random state; a crash in the middle leaves the old file whole.

    Raises:
        OSError: naming the file, if it cannot be written, as on a full disk.
    """
    with replacing(path) as scratch:
        write_arrays(scratch, arrays_of(model))


def restore_checkpoint(path, model):
    """Put a saved state into a compiled model of the same shape; returns the step it was at.

    From there on it trains as the run that saved it: dropout, too, goes on as it would have. A
    checkpoint of another backend has other random numbers, and is taken without them.
    """
    put_arrays(model, read_arrays(path), path)
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations.value))


def restore_weights(path, model):
    """Put the weights of a saved state into a model, compiled in whatever way."""
    arrays = read_arrays(path)
    weights = {name: array for name, array in arrays.items() if name.startswith("model/")}
    _assign(_weights(model), weights, path, "model")


def arrays_of(model):
    """`{name: array}` of all that a training run is made of, copied off the device."""
    with model.weights_lock:
        values = {name: backend.whole(v) for name, v in _state(model).items()}
        metrics = [name for name in values if name.startswith(METRICS)]
        values |= dict(zip(metrics, model.metrics_in_world(), strict=True))
        values |= {OWN_RANDOM + name: state for name, state in backend.random_state().items()}
        return {name: np.array(array, order="C") for name, array in values.items()}


def put_arrays(model, arrays, source):
    """Put a state into a compiled model; the metrics, which may not be made yet, are left out.

    Raises:
        ValueError: it is that of another model or optimizer; names `source`.
    """
    weights, state = _weights(model), _state(model)
    given = {name: array for name, array in arrays.items() if name.startswith("model/")}
    _assign(weights, given, source, "model")
    rest = {n: v for n, v in state.items() if n not in weights and not n.startswith(METRICS)}
    passing = (OWN_RANDOM, METRICS, "model/", "callback/")
    given = {name: array for name, array in arrays.items() if not name.startswith(passing)}
    _assign(rest, given, source, "optimizer")
    _set_random(arrays)


def put_random(model, arrays, source):
    """Put back the random numbers alone."""
    state = {n: v for n, v in _state(model).items() if n.startswith("random/")}
    given = {n: a for n, a in arrays.items() if n.startswith("random/")}
    _assign(
        state, {n: a for n, a in given.items() if not n.startswith(OWN_RANDOM)}, source, "model"
    )
    _set_random(arrays)


def put_passing(model, arrays, source):
    """Put back what the beginning of an epoch resets: random numbers, carried states, metrics."""
    state = {n: v for n, v in _state(model).items() if n.startswith(PASSING)}
    given = {n: a for n, a in arrays.items() if n.startswith(PASSING)}
    own = {n: a for n, a in given.items() if not n.startswith(OWN_RANDOM)}
    if WORLD.rank:  # what all had measured is with the first
        own |= {n: np.zeros_like(a) for n, a in own.items() if n.startswith(METRICS)}
    _assign(state, own, source, "set of metrics")
    _set_random(arrays)


def write_arrays(path, arrays):
    """A safetensors file of arrays; raises OSError with the system's number where it cannot be."""
    try:
        save_file(arrays, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else 0, str(error)) from None


def read_arrays(path):
    """`{name: array}` of a safetensors file."""
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _assign(variables, arrays, source, kind):
    different = sorted(variables.keys() ^ arrays.keys())
    different += [
        name
        for name in variables.keys() & arrays.keys()
        if np.size(arrays[name]) != np.prod(whole_shape(variables[name]))
    ]
    if different:
        raise ValueError(
            f"The checkpoint {source} belongs to another {kind}: {len(different)} of its arrays "
            f"differ, such as {different[0]!r}. Make the model and compile it as it was, or train "
            "into another folder."
        )
    for name, variable in variables.items():
        backend.put_whole(variable, arrays[name].reshape(whole_shape(variable)))


def whole_shape(variable):
    """The shape of a variable, of which an optimizer may know this process's part alone."""
    return getattr(variable, "whole_shape", variable.shape)


def _set_random(arrays):
    own = {n.removeprefix(OWN_RANDOM): a for n, a in arrays.items() if n.startswith(OWN_RANDOM)}
    backend.set_random_state(own)


def _state(model):
    if not model.optimizer.built:
        model.optimizer.build(model.optimized_variables)
    # Not by the optimizer's own name: the second one that a process makes is called "adam_w_1".
    names = (variable.path.partition("/")[2] for variable in model.optimizer.variables)
    numbered = enumerate(zip(names, model.optimizer.variables, strict=True))
    optimizer = {f"optimizer/{i}/{name}": variable for i, (name, variable) in numbered}
    metrics = {f"{METRICS}{i}/{v.name}": v for i, v in enumerate(model.metrics_variables)}
    known = {id(v) for v in [*model.weights, *model.metrics_variables]}
    others = [v for v in model.variables if id(v) not in known]
    seeds = [v for v in others if v.name == "seed_generator_state"]
    carried = [v for v in others if v.name != "seed_generator_state"]
    return (
        _weights(model)
        | optimizer
        | {f"random/{i}": v for i, v in enumerate(seeds)}
        | {f"state/{i}": v for i, v in enumerate(carried)}
        | metrics
    )


def _weights(model):
    weights = {f"model/{v.path}": v for v in model.weights}
    if len(weights) < len(model.weights):  # as of two heads of one kind over one backbone
        raise ValueError(
            f"A run is kept by the paths of its weights, but in this {type(model).__name__} "
            f"{len(model.weights) - len(weights)} of {len(model.weights)} weights share a path "
            "with another. Keep each task by itself: zoo.save(task, folder)."
        )
    return weights
