"""A model's weights as a safetensors file: every name, shape and dtype must be the model's."""

import math

import keras
import numpy as np

from zoo.backends import backend
from zoo.progress import shown
from zoo.tensors import Tensors, open_safetensors, write
from zoo.tensors.dtypes import is_finite, is_float
from zoo.tensors.reading import FORMAT

HALF = ("float16", "bfloat16")


def save_weights(model, path, dtype=None):
    """Write the weights of a built model, one tensor in memory at a time.

    Args:
        model: a `keras.Model`; the names in the file are the paths of its variables.
        path: the file to write.
        dtype: `"float16"` or `"bfloat16"` to store floating-point weights rounded to these, or None
            to store every bit.

    Raises:
        OSError: the file cannot be written.
        ValueError: two weights of one name, NaN or infinite weights, or too large for `dtype`.
    """
    write(path, OwnTensors(model, dtype), kind=FORMAT)


class OwnTensors(Tensors):
    """The weights of a built model, by the paths of its variables.

    Arguments and errors are those of `save_weights`.
    """

    def __init__(self, model, dtype=None):
        if dtype not in (None, *HALF):
            raise ValueError(f"weights_dtype must be None, 'float16' or 'bfloat16'; got {dtype!r}.")
        self.variables = named_weights(model)
        self.names = tuple(self.variables)
        self.stored_as = dtype

    def shape(self, name):
        return tuple(self.variables[name].shape)

    def dtype(self, name):
        return stored_dtype(self.variables[name], self.stored_as)

    def read(self, name):
        return stored_array(name, self.variables[name], self.stored_as)

    def close(self):
        pass


def load_weights(model, path, without=(), ignored=(), is_checked=False):
    """Fill a built model from a file that holds exactly its weights.

    float16 and bfloat16 widen to float32; no other dtype changes. The header and the checksum are
    checked before anything changes; tensors are then read one at a time.

    Args:
        model: a `keras.Model`.
        path: a safetensors file, or the index of several; one written elsewhere may lack the
            checksum.
        without: names of weights of the model that the file need not hold.
        ignored: names in the file that the model need not have.
        is_checked: bool, whether to leave the checksum unread, since another was compared.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or of another model; the model is unchanged. NaN or infinite weights:
            the model is then partly filled.
    """
    variables = {k: v for k, v in named_weights(model).items() if k not in without}
    with open_safetensors(path) as tensors:
        check_names(variables, [n for n in tensors.names if n not in ignored], tensors.path)
        for name, variable in variables.items():
            check_tensor(name, variable, tensors)
        if not is_checked:
            tensors.check_data()
        for name in shown(list(variables), "tensor"):
            variable, array = variables[name], finite(tensors, name)
            dtype = keras.backend.standardize_dtype(variable.dtype)
            variable.assign(backend.from_numpy(array.astype(dtype, copy=False)))


def finite(tensors, name):
    """The numbers of a tensor; raises ValueError where one is NaN or infinite."""
    array = tensors.read(name)
    if not is_finite(array):
        raise ValueError(
            f"Weights must be finite, but {name!r} in {tensors.path} holds NaN or infinity: it is "
            "damaged, or training had diverged. Use another file."
        )
    return array


def count_numbers(path):
    """How many numbers a weights file holds, from its header alone. Raises as `load_weights`."""
    with open_safetensors(path) as tensors:
        return sum(math.prod(tensors.shape(name)) for name in tensors.names)


def names(path):
    """The names in a weights file, from its header alone. Raises as `load_weights`."""
    with open_safetensors(path) as tensors:
        return set(tensors.names)


def named_weights(model):
    """`{path: variable}` of a model's weights."""
    variables = {variable.path: variable for variable in model.weights}
    if not model.built or len(variables) < len(model.weights):
        paths = [variable.path for variable in model.weights]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        reason = f"{twice!r} stands for two" if twice else "the model is not built yet"
        raise ValueError(
            f"Each weight needs a path of its own to be stored under; {reason}. "
            "Give every layer a name, and call the model once."
        )
    return variables


def stored_dtype(variable, dtype):
    own = keras.backend.standardize_dtype(variable.dtype)
    return np.dtype(dtype if dtype and is_float(own) else own)


def stored_array(name, variable, dtype):
    array = keras.ops.convert_to_numpy(variable.value)
    if not is_finite(array):
        raise ValueError(
            f"Weights must be finite to be saved, but {name!r} holds NaN or infinity: training has "
            "diverged. Go back to an earlier state."
        )
    with np.errstate(over="ignore"):
        stored = array.astype(stored_dtype(variable, dtype), copy=False)
    if not is_finite(stored):
        raise ValueError(
            f"{name!r} holds values up to {np.abs(array).max():.3g}, which {dtype} cannot hold. "
            "Save with bfloat16 or without a dtype."
        )
    return stored


def check_names(variables, stored, path):
    there = set(stored)
    missing = [name for name in variables if name not in there]
    unknown = [name for name in stored if name not in variables]
    if missing or unknown:
        raise ValueError(
            f"{path} must hold exactly the {len(variables)} weights of this model, but "
            f"{differences(missing, unknown)}: it belongs to another model. "
            "Load it with the config.json that it was saved with."
        )


def differences(missing, unknown):
    """How many names are missing and unknown, in words, with one of each."""
    return " and ".join(
        f"{len(names)} are {what}, such as {names[0][:80]!r}"
        for names, what in ((missing, "missing"), (unknown, "unknown"))
        if names
    )


def holds(dtype, stored):
    """Whether a variable may take what a file stores: the same, or halves in float32."""
    return stored == dtype or (dtype == "float32" and stored in HALF)


def check_tensor(name, variable, tensors):
    shape, dtype = tuple(variable.shape), keras.backend.standardize_dtype(variable.dtype)
    path, stored_shape = tensors.path, tuple(tensors.shape(name))
    if stored_shape != shape:
        raise ValueError(
            f"{path}: {name!r} must have the model's shape {shape}; got {stored_shape}. "
            "Load it with the config.json that it was saved with."
        )
    stored = str(tensors.dtype(name))
    if not holds(dtype, stored):
        raise ValueError(
            f"{path}: {name!r} must be {dtype}, or float16 or bfloat16 to be widened to float32; "
            f"got {stored}. Build the model with a dtype that has {stored} variables."
        )
