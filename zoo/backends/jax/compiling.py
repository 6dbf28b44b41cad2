"""Functions of a model, compiled by XLA once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is compiled, so a model that is trained further needs no compiling again.
"""

import functools

import jax
from keras import ops, tree

from zoo.backends.common import while_loop
from zoo.backends.compiled import CastWeights, Compiled, weights_lock, with_weights


def compile_function(model, function):
    """`call(*arguments, **static)`: the function, compiled for its shapes and what is static."""
    call = _compiled(model, function, donated=())
    return lambda *arguments, **static: call(CastWeights(model), *arguments, **static)


def compile_loop(model, body):
    """`start() -> loop`, `loop(state, num_steps, *arguments, **static)`: the body, in a loop.

    `state = body(state, *arguments, **static)` is done `num_steps` times, or until
    `state["over"]`. The state that goes in is used up. Weights are cast once for all calls of a
    `loop`.
    """
    call = _compiled(model, while_loop(body), donated=(1,))

    def start():
        weights = CastWeights(model)

        def loop(state, num_steps, *arguments, **static):
            num_steps = ops.convert_to_tensor(num_steps, dtype="int32")
            return call(weights, state, num_steps, *arguments, **static)

        return loop

    return start


def _compiled(model, function, donated):
    def compile_for(weights, values, arguments, static):
        stateless = with_weights(weights, functools.partial(function, **static))
        return jax.jit(stateless, donate_argnums=donated).lower(values, *arguments).compile()

    compiled = Compiled(compile_for)

    def call(weights, *arguments, **static):
        with weights_lock(model):  # until it is dispatched: `fit` gives the weights' memory away
            model.jax_state_sync()  # within `fit`, the variables are behind the weights
            values = weights.values()
            shapes = tuple(
                (x.shape, x.dtype, x.sharding) for x in tree.flatten((values, arguments))
            )
            key = shapes, tuple(static.items())
            return compiled.get(key, weights.weights, values, arguments, static)(values, *arguments)

    return call
