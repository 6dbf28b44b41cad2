"""Gradients that are accumulated over batches, averaged over what their losses are means of.

Keras adds the gradients of several batches and divides by their number: a batch of few tokens
pulls as hard as one of many. Here a batch weighs as much as the tokens, or the rows, that its loss
is a mean over, so that n batches make the step of one that holds all their rows.
"""

import contextlib
import contextvars
import types

from keras import ops

_WEIGHT = contextvars.ContextVar("weight", default=None)  # of the batch whose step is being taken


@contextlib.contextmanager
def batch_of(weight):
    """What an optimizer applies within are gradients of a mean over so many tokens."""
    token = _WEIGHT.set(weight)
    try:
        yield
    finally:
        _WEIGHT.reset(token)


def average_over_tokens(optimizer):
    """Let an optimizer that accumulates gradients weigh each batch by `batch_of`.

    Args:
        optimizer: one of Keras', without a loss-scaling one around it. Others than those with
            `gradient_accumulation_steps` stay as they are.
    """
    if not optimizer.gradient_accumulation_steps or hasattr(optimizer, "_accumulated_weight"):
        return
    build, apply = optimizer.build, optimizer._backend_apply_gradients

    def build_with_weight(self, variables):
        build(variables)
        if self._accumulated_weight is None:
            self._accumulated_weight = self.add_variable((), dtype="float32", name="weight")

    def apply_weighted(self, gradients, variables):
        weight = _WEIGHT.get()
        if weight is not None:
            gradients = _weighted(self, gradients, variables, ops.cast(weight, "float32"))
        apply(gradients, variables)

    optimizer._accumulated_weight = None
    optimizer.build = types.MethodType(build_with_weight, optimizer)
    optimizer._backend_apply_gradients = types.MethodType(apply_weighted, optimizer)
    if optimizer.built:
        optimizer._accumulated_weight = optimizer.add_variable((), dtype="float32", name="weight")


def _weighted(optimizer, gradients, variables, weight):
    # The accumulators hold n times the mean so far, so that Keras' division by n leaves the mean.
    size = optimizer.gradient_accumulation_steps
    is_first = ops.equal(optimizer._iterations % size, 0)
    before = ops.where(is_first, 0.0, optimizer._accumulated_weight.value)
    total = before + weight
    kept, share = ops.divide_no_nan(before, total), ops.divide_no_nan(size * weight, total)
    for variable in variables:
        accumulated = optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]
        optimizer.assign(accumulated, accumulated.value * ops.cast(kept, accumulated.dtype))
    optimizer.assign(optimizer._accumulated_weight, total)
    return [gradient * ops.cast(share, gradient.dtype) for gradient in gradients]
