"""Functions of a model, traced to plain graphs once for each set of shapes.

A function reads the model's weights and takes and returns nested tensors. The weights are passed
to what is traced, so a model that is trained further needs no tracing again.
"""

import functools

import torch
from keras import tree

from zoo.backends.compiled import Compiled, with_weights
from zoo.backends.torch.graph import TracedFunction

LOOK_EVERY = 16  # steps on a GPU, which waits for each look at its memory


def compile_function(model, function):
    """`call(*arguments, **static)`: the function, traced for its shapes and what is static."""
    trace = _tracer(function, repeats=False)

    def call(*arguments, **static):
        values, traced = trace(model.weights, arguments, static)
        with torch.no_grad():
            return traced(traced.prepare(values), *arguments)

    return call


def compile_loop(model, body):
    """`start() -> loop`, `loop(state, num_steps, *arguments, **static)`: the body, in a loop.

    `state = body(state, *arguments, **static)` is done `num_steps` times, or until
    `state["over"]` is found to hold. The state that goes in is used up. Weights are cast and laid
    out once for all calls of a `loop`.
    """
    trace = _tracer(body, repeats=True)

    def start():
        weights, traced, prepared = model.weights, None, None

        def loop(state, num_steps, *arguments, **static):
            nonlocal traced, prepared
            values, found = trace(weights, (state, *arguments), static)
            with torch.no_grad():
                if found is not traced:
                    traced, prepared = found, found.prepare(values)
                every = steps_between_looks(state["over"].device)
                for step in range(num_steps):
                    if step % every == 0 and state["over"]:
                        break
                    state = traced(prepared, state, *arguments)
            return state

        return loop

    return start


def steps_between_looks(device):
    """How many steps a loop does before it looks whether it is over."""
    return 1 if device.type == "cpu" else LOOK_EVERY


def _tracer(function, repeats):
    """`trace(weights, arguments, static)`: the weights' values, and a `TracedFunction`."""

    def trace_for(weights, values, arguments, static):
        stateless = with_weights(weights, functools.partial(function, **static))
        with torch.no_grad():
            return TracedFunction(stateless, values, arguments, repeats)

    graphs = Compiled(trace_for)

    def trace(weights, arguments, static):
        values = [weight.value.detach() for weight in weights]
        shapes = tuple((t.shape, t.dtype, t.device) for t in tree.flatten((values, arguments)))
        key = shapes, tuple(static.items())
        return values, graphs.get(key, weights, values, arguments, static)

    return trace
