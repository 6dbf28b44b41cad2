"""Functions of a model, compiled by XLA once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is compiled, so a model that is trained further needs no compiling again.
"""

import jax

from zoo.backends.common import while_loop, with_weights


def compile_function(model, function, uses_up_first=False):
    """`function(*arguments)`, compiled; it may write into the first of them if told so."""
    donated = (1,) if uses_up_first else ()
    compiled = jax.jit(with_weights(model, function), donate_argnums=donated)

    def call(*arguments):
        model.jax_state_sync()  # within `fit`, the variables are behind the weights
        return compiled([v.value for v in model.variables], *arguments)

    return call


def compile_loop(model, condition, body):
    """`loop(state, *arguments)`: `state = body(state, *arguments)` as long as
    `condition(state, *arguments)` holds. The state that goes in is used up.
    """
    return compile_function(model, while_loop(condition, body), uses_up_first=True)
