"""What goes into the matrices of a task while it reads texts: for rounding that minds it."""

import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.data.checks import as_inputs, ids_of, require_something
from zoo.data.sources import holds_ids
from zoo.layers.dense import Dense
from zoo.layers.watching import watch

ROWS = 8  # that are read together


def products_of_inputs(task, data):
    """`{layer: float32 (inputs, inputs)}`: `X^T X` of what each `Dense` of a task was given.

    Args:
        task: a task of floats.
        data: what `fit` or `predict` takes, in memory: texts, pairs of a tuple `(x, y)`, or ids.
    """
    products = {}
    for inputs in calibration_batches(task, data):
        with backend.no_gradients(), watch() as seen:
            task(inputs, training=False)
        for layer, tensors in seen.items():
            if isinstance(layer, Dense):
                x = ops.convert_to_numpy(ops.cast(tensors["inputs"], "float32"))
                products[layer] = products.get(layer, 0) + x.T @ x
    return products


def calibration_batches(task, data):
    """What the task reads of data, a few rows at a time."""
    require_something(data)
    if holds_ids(data):
        data = as_inputs(data)
        task.check_inputs(data)
        for start in range(0, len(ids_of(data)), ROWS):
            yield tree.map_structure(lambda x, s=start: np.asarray(x)[s : s + ROWS], data)
        return
    x, y, _ = task.validation_parts(data)
    if y is None and task.needs_labels:
        rows = task.rows(task.read_memory(x)[0])
        for start in range(0, len(rows), ROWS):
            places = np.arange(start, min(start + ROWS, len(rows)))
            yield rows.model_inputs(places, task.backbone.max_length)
        return
    batches = task.batches(x, ROWS, seed=0, is_fixed=True, y=y, shuffle=False)
    for i in range(len(batches)):
        yield batches[i][0]
