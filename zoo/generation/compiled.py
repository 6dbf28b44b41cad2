"""One way to run a function of a model fast on each backend."""

import keras


def compile_with_weights(model, function):
    """`function(*arguments)`, which reads the model's weights, compiled by the backend.

    Arguments and results are nested tensors; every new combination of their shapes compiles
    anew. PyTorch runs the function as it is, without gradients.
    """
    return _COMPILERS[keras.backend.backend()](model, function)


def _compile_jax(model, function):
    import jax

    @jax.jit
    def stateless(values, *arguments):
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    def call(*arguments):
        # Weights are passed in: a jitted closure would keep them as constants.
        return stateless([v.value for v in model.variables], *arguments)

    return call


def _compile_tensorflow(model, function):
    import tensorflow as tf

    return tf.function(function, reduce_retracing=False, autograph=False)


def _compile_torch(model, function):
    import torch

    return torch.no_grad()(function)


_COMPILERS = {"jax": _compile_jax, "tensorflow": _compile_tensorflow, "torch": _compile_torch}
