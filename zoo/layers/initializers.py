"""Initial values, drawn unless weights are about to be loaded."""

import contextlib
import contextvars

import keras

from zoo.backends import backend

_LOADING = contextvars.ContextVar("loading", default=False)


@contextlib.contextmanager
def weights_follow():
    """What is built in here gets no random numbers: its weights are loaded next."""
    token = _LOADING.set(True)
    try:
        yield
    finally:
        _LOADING.reset(token)


def do_weights_follow():
    """Whether weights are loaded next."""
    return _LOADING.get()


@keras.saving.register_keras_serializable("zoo")
class Normal(keras.initializers.RandomNormal):
    """Normally distributed with mean 0; not drawn where weights follow."""

    def __init__(self, stddev=0.02, seed=None):
        super().__init__(mean=0.0, stddev=stddev, seed=seed)

    def __call__(self, shape, dtype=None):
        if _LOADING.get():
            return backend.empty(shape, keras.backend.standardize_dtype(dtype))
        return super().__call__(shape, dtype)

    def get_config(self):
        config = super().get_config()
        del config["mean"]
        return config
