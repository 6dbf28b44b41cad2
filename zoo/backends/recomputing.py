"""Layers whose inner values are computed again for the backward pass, instead of being kept.

Chen et al., 2016, https://arxiv.org/abs/1604.06174: of each block its input alone is kept, for
about a third more computing. Keras' `remat` knows functions of tensors; so a layer becomes one
here, of its inputs and of all its variables, seeds included: the same is dropped again.
"""

import contextlib
import contextvars
import functools

import keras
from keras import ops, tree

_WANTED = contextvars.ContextVar("recomputing", default=False)
KINDS = ("blocks",)


@contextlib.contextmanager
def recomputing(is_wanted=True):
    """Whether layers that are called within, and can be computed again, are to be."""
    token = _WANTED.set(is_wanted)
    try:
        yield
    finally:
        _WANTED.reset(token)


def recomputable(call):
    """A decorator of a layer's `call`, whose outputs are tensors; with a cache it stays as is."""

    @functools.wraps(call)
    def call_or_recompute(self, *args, **kwargs):
        if not _WANTED.get() or kwargs.get("cache") is not None:
            return call(self, *args, **kwargs)
        return _recomputed(self, functools.partial(call, self), args, kwargs)

    call_or_recompute.is_recomputable = True
    return call_or_recompute


def is_recomputable(layer):
    return getattr(type(layer).call, "is_recomputable", False)


def _recomputed(layer, call, args, kwargs):
    given = tree.flatten((args, kwargs))
    places = [i for i, one in enumerate(given) if ops.is_tensor(one)]
    variables = layer.variables
    known = {id(weight) for weight in layer.weights}
    changing = [variable for variable in variables if id(variable) not in known]  # seeds

    def compute(*tensors):
        inputs = list(given)
        for place, tensor in zip(places, tensors, strict=False):
            inputs[place] = tensor
        values = tensors[len(places) :]
        some_args, some_kwargs = tree.pack_sequence_as((args, kwargs), inputs)
        with recomputing(False), keras.StatelessScope(zip(variables, values, strict=True)) as scope:
            outputs = call(*some_args, **some_kwargs)
        return outputs, [scope.get_current_value(variable) for variable in changing]

    tensors = [given[place] for place in places]
    # A seed is moved on in place before the backward pass, so what goes in is a copy.
    values = [v.value if id(v) in known else v.value + 0 for v in variables]
    outputs, changed = keras.remat(compute)(*tensors, *values)
    for variable, value in zip(changing, changed, strict=True):
        variable.assign(value)
    return outputs
