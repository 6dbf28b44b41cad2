"""Functions of a model, compiled by XLA once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors.
"""

import sys

import tensorflow as tf

from zoo.backends.common import while_loop


def compile_function(model, function, uses_up_first=False):
    """`function(*arguments)`, compiled; it may write into the first of them if told so."""
    # XLA makes decoding three times faster. It was not tried on macOS.
    return tf.function(function, autograph=False, jit_compile=sys.platform != "darwin")


def compile_loop(model, condition, body):
    """`loop(state, *arguments)`: `state = body(state, *arguments)` as long as
    `condition(state, *arguments)` holds. The state that goes in is used up.
    """
    return compile_function(model, while_loop(condition, body), uses_up_first=True)
