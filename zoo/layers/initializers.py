"""Initial values, drawn unless weights are about to be loaded."""

import contextlib
import contextvars

import keras
from keras import ops

_LOADING = contextvars.ContextVar("loading", default=False)


@contextlib.contextmanager
def weights_follow():
    """What is built in here gets no random numbers: its weights are loaded next."""
    token = _LOADING.set(True)
    try:
        yield
    finally:
        _LOADING.reset(token)


def placeholder(shape, dtype=None):
    """A tensor of any values, where the backend has them without touching the memory."""
    dtype = keras.backend.standardize_dtype(dtype)
    if keras.backend.backend() == "torch":
        import torch

        return ops.convert_to_tensor(torch.empty(shape, dtype=getattr(torch, dtype)))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.raw_ops.Empty(shape=shape, dtype=dtype)
    return ops.zeros(shape, dtype)


@keras.saving.register_keras_serializable("zoo")
class Normal(keras.initializers.RandomNormal):
    """Normally distributed with mean 0; not drawn where weights follow."""

    def __init__(self, stddev=0.02, seed=None):
        super().__init__(mean=0.0, stddev=stddev, seed=seed)

    def __call__(self, shape, dtype=None):
        return placeholder(shape, dtype) if _LOADING.get() else super().__call__(shape, dtype)

    def get_config(self):
        config = super().get_config()
        del config["mean"]
        return config
