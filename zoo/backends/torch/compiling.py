"""Functions of a model, traced to plain graphs once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is traced, so a model that is trained further needs no tracing again.
"""

import torch
from keras import tree

from zoo.backends.common import with_weights
from zoo.backends.torch.graph import TracedFunction


def compile_function(model, function, uses_up_first=False):
    """`function(*arguments)`, traced; it may write into the first of them if told so."""
    trace = _tracer(model, function)

    def call(*arguments):
        values, traced = trace(arguments)
        with torch.no_grad():
            return traced(traced.prepare(values), *arguments)

    return call


def compile_loop(model, condition, body):
    """`loop(state, *arguments)`: `state = body(state, *arguments)` as long as
    `condition(state, *arguments)` holds. The state that goes in is used up.

    Graphs have no loops here: the body is what is traced.
    """
    trace = _tracer(model, body)

    def loop(state, *arguments):
        values, traced = trace((state, *arguments))
        with torch.no_grad():
            prepared = traced.prepare(values)
            while condition(state, *arguments):
                state = traced(prepared, state, *arguments)
        return state

    return loop


def _tracer(model, function):
    """`trace(arguments)`: the weights' values, and a `TracedFunction` for these shapes."""
    graphs = {}
    stateless = with_weights(model, function)

    def trace(arguments):
        values = [v.value.detach() for v in model.variables]
        key = tuple((t.shape, t.dtype, t.device) for t in tree.flatten((values, arguments)))
        if key not in graphs:
            with torch.no_grad():
                graphs[key] = TracedFunction(stateless, values, arguments)
        return values, graphs[key]

    return trace
