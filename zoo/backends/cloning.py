"""`keras.models.clone_model` of a task gives a task.

Keras clones a functional model layer by layer: a task would become a plain model without `generate`
or `fit` on text, and a table that serves twice would become two. It asks a model's class nothing,
so the two functions that it is made of are wrapped here, for models with `clone` alone.
"""

import functools

from keras.src.models import cloning


def let_tasks_clone_themselves():
    """Make `keras.models.clone_model(task)` return `task.clone()`.

    With a `clone_function`, `call_function` or `input_tensors`, and for other models, it is Keras'.
    """
    wrap, clone_layers = cloning._wrap_clone_function, cloning._clone_functional_model

    @functools.wraps(wrap)
    def wrapped(clone_function, **settings):
        function = wrap(clone_function, **settings)
        function.is_usual = clone_function is None
        return function

    @functools.wraps(clone_layers)
    def clone(model, clone_function, call_function=None, input_tensors=None):
        is_usual = clone_function.is_usual and call_function is None and input_tensors is None
        if is_usual and hasattr(model, "clone"):
            return model.clone()
        return clone_layers(
            model, clone_function, call_function=call_function, input_tensors=input_tensors
        )

    cloning._wrap_clone_function, cloning._clone_functional_model = wrapped, clone
