"""Running functions of a model fast on each backend: compiled once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is compiled, so a model that is trained further needs no compiling again.
"""

import keras
from keras import ops, tree


def compile_function(model, function):
    """`function(*arguments)`, compiled."""
    return _COMPILERS[keras.backend.backend()](model, function)


def compile_loop(model, condition, body):
    """`loop(state, *arguments)`: `state = body(state, *arguments)` as long as
    `condition(state, *arguments)` holds.

    JAX and TensorFlow compile the whole loop. PyTorch's graphs have no loops: it compiles the
    body.
    """
    if keras.backend.backend() == "torch":
        return _loop_in_python(condition, compile_function(model, body))

    def loop(state, *arguments):
        (state,) = ops.while_loop(
            lambda state: condition(state, *arguments),
            lambda state: (body(state, *arguments),),
            (state,),
        )
        return state

    return compile_function(model, loop)


def _loop_in_python(condition, body):
    def loop(state, *arguments):
        while condition(state, *arguments):
            state = body(state, *arguments)
        return state

    return loop


def _with_weights(model, function):
    """`(values, *arguments)`: the function of a model whose variables have these values."""

    def stateless(values, *arguments):
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    return stateless


def _compile_jax(model, function):
    import jax

    compiled = jax.jit(_with_weights(model, function))

    def call(*arguments):
        model.jax_state_sync()  # within `fit`, the variables are behind the weights
        return compiled([v.value for v in model.variables], *arguments)

    return call


def _compile_tensorflow(model, function):
    import tensorflow as tf

    return tf.function(function, autograph=False)


def _compile_torch(model, function):
    """Trace the function to a plain ATen graph: Keras' layers cost more than their arithmetic."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    graphs = {}
    stateless = _with_weights(model, function)

    @torch.no_grad()
    def call(*arguments):
        values = [v.value for v in model.variables]
        inputs = tree.flatten((values, arguments))
        key = tuple((t.shape, t.dtype, t.device) for t in inputs)
        if key not in graphs:
            graphs[key] = make_fx(stateless)(values, *arguments)
        return graphs[key](values, *arguments)

    return call


_COMPILERS = {"jax": _compile_jax, "tensorflow": _compile_tensorflow, "torch": _compile_torch}
