"""Layers that can be written down."""

import inspect
from types import MappingProxyType

import keras

from zoo.ranges import check_declared

KERAS_ARGUMENTS = frozenset(inspect.signature(keras.layers.Layer.__init__).parameters)


class Layer(keras.layers.Layer):
    """A `keras.layers.Layer` whose config is its constructor's arguments, whatever they are.

    Keras writes numbers, strings and lists down by itself. Here initializers, activations, dtype
    policies and other layers may be among them, so that no subclass needs a `get_config`.

    Attributes:
        arguments: `{name: what it may be}` of the constructor's, by `zoo.ranges`; a value that is
            something else is refused before anything is made.
        rank: int, how many axes its first input has; None for any.
    """

    arguments = MappingProxyType({})
    rank = None

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls, *args, **kwargs)
        arguments = bound_arguments(instance, args, kwargs)
        check_declared(cls, arguments)
        object.__setattr__(instance, "_arguments", arguments)
        return instance

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=self.rank, min_ndim=1)

    def __call__(self, *args, **kwargs):
        if kwargs.get("cache") is not None:  # Keras would cast it to the compute dtype
            kwargs["cache"] = Kept(kwargs["cache"])
        return super().__call__(*args, **kwargs)

    def get_config(self):
        """The arguments, as JSON has them; the dtype policy and what is trainable as they are."""
        arguments = {
            name: keras.saving.serialize_keras_object(value)
            for name, value in self._arguments.items()
            if name not in KERAS_ARGUMENTS
        }
        return {**arguments, **super().get_config()}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: _restore(value) for name, value in config.items()})


class Kept:
    """A cache on its way into a layer's `call`, where `opened` gives it back as it was."""

    def __init__(self, cache):
        self.cache = cache


def opened(cache):
    """A cache that may be `Kept`, or None."""
    return cache.cache if isinstance(cache, Kept) else cache


def bound_arguments(instance, args, kwargs):
    """What a constructor is called with, by name, defaults included."""
    bound = inspect.signature(type(instance).__init__).bind(instance, *args, **kwargs)
    bound.apply_defaults()
    _, *arguments = bound.arguments.items()  # the first is self
    arguments = dict(arguments)
    others = arguments.pop("kwargs", {})
    return {**arguments, **others}


def _restore(value):
    if not (isinstance(value, dict) and "class_name" in value):
        return value
    # A layer that takes another builds it.
    return keras.saving.deserialize_keras_object({**value, "build_config": None})
