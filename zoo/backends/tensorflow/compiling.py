"""Functions of a model, compiled by XLA once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors.
"""

import functools
import sys

import tensorflow as tf
from keras import ops, tree

from zoo.backends.common import while_loop
from zoo.backends.compiled import CastWeights, Compiled, with_weights


def compile_function(model, function):
    """`call(*arguments, **static)`: the function, compiled for its shapes and what is static."""
    call = _compiled(function)
    return lambda *arguments, **static: call(CastWeights(model), *arguments, **static)


def compile_loop(model, body):
    """`start() -> loop`, `loop(state, num_steps, *arguments, **static)`: the body, in a loop.

    `state = body(state, *arguments, **static)` is done `num_steps` times, or until
    `state["over"]`. The state that goes in is used up. Weights are cast once for all calls of a
    `loop`.
    """
    call = _compiled(while_loop(body))

    def start():
        weights = CastWeights(model)

        def loop(state, num_steps, *arguments, **static):
            num_steps = ops.convert_to_tensor(num_steps, dtype="int32")
            return call(weights, state, num_steps, *arguments, **static)

        return loop

    return start


def _compiled(function):
    def compile_for(weights, values, arguments, static):
        stateless = with_weights(weights, functools.partial(function, **static))
        # XLA makes decoding three times faster. It was not tried on macOS.
        traced = tf.function(stateless, autograph=False, jit_compile=sys.platform != "darwin")
        return traced.get_concrete_function(values, *arguments)

    compiled = Compiled(compile_for)

    def call(weights, *arguments, **static):
        cast, values = weights.cast()  # what needs no cast is a variable, which the graph reads
        shapes = tuple((tuple(x.shape), x.dtype) for x in tree.flatten((values, arguments)))
        key = shapes, tuple(static.items()), tuple(map(id, weights.weights))
        return compiled.get(key, cast, values, arguments, static)(values, *arguments)

    return call
