"""Running functions of a model fast on each backend: compiled once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is compiled, so a model that is trained further needs no compiling again.
"""

import sys

import keras
from keras import ops, tree


def compile_function(model, function, uses_up_first=False):
    """`function(*arguments)`, compiled; it may write into the first of them if told so."""
    compilers = {"jax": _compile_jax, "tensorflow": _compile_tensorflow, "torch": _compile_torch}
    return compilers[keras.backend.backend()](model, function, uses_up_first)


def compile_loop(model, condition, body):
    """`loop(state, *arguments)`: `state = body(state, *arguments)` as long as
    `condition(state, *arguments)` holds. The state that goes in is used up.

    JAX and TensorFlow compile the whole loop. PyTorch's graphs have no loops: it compiles the
    body.
    """
    if keras.backend.backend() == "torch":
        return _compile_torch_loop(model, condition, body)

    def loop(state, *arguments):
        (state,) = ops.while_loop(
            lambda state: condition(state, *arguments),
            lambda state: (body(state, *arguments),),
            (state,),
        )
        return state

    return compile_function(model, loop, uses_up_first=True)


def _with_weights(model, function):
    """`(values, *arguments)`: the function of a model whose variables have these values."""

    def stateless(values, *arguments):
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    return stateless


def _compile_jax(model, function, uses_up_first):
    import jax

    donated = (1,) if uses_up_first else ()
    compiled = jax.jit(_with_weights(model, function), donate_argnums=donated)

    def call(*arguments):
        model.jax_state_sync()  # within `fit`, the variables are behind the weights
        return compiled([v.value for v in model.variables], *arguments)

    return call


def _compile_tensorflow(model, function, uses_up_first):
    import tensorflow as tf

    # XLA makes decoding three times faster. It was not tried on macOS.
    return tf.function(function, autograph=False, jit_compile=sys.platform != "darwin")


def _compile_torch(model, function, uses_up_first):
    trace = _torch_tracer(model, function)

    def call(*arguments):
        values, traced = trace(arguments)
        with torch_no_grad():
            return traced(traced.prepare(values), *arguments)

    return call


def _compile_torch_loop(model, condition, body):
    trace = _torch_tracer(model, body)

    def loop(state, *arguments):
        values, traced = trace((state, *arguments))
        with torch_no_grad():
            prepared = traced.prepare(values)
            while condition(state, *arguments):
                state = traced(prepared, state, *arguments)
        return state

    return loop


def _torch_tracer(model, function):
    """`trace(arguments)`: the weights' values, and a `TracedFunction` for these shapes."""
    from zoo.generation.torch_graph import TracedFunction

    graphs = {}
    stateless = _with_weights(model, function)

    def trace(arguments):
        values = [v.value.detach() for v in model.variables]
        key = tuple((t.shape, t.dtype, t.device) for t in tree.flatten((values, arguments)))
        if key not in graphs:
            with torch_no_grad():
                graphs[key] = TracedFunction(stateless, values, arguments)
        return values, graphs[key]

    return trace


def torch_no_grad():
    import torch

    return torch.no_grad()
