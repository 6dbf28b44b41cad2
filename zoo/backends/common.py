"""What JAX and TensorFlow do alike, in Keras' operations."""

import keras
from keras import ops, tree


def with_weights(model, function):
    """`(values, *arguments)`: the function of a model whose variables have these values."""

    def stateless(values, *arguments):
        mapping = list(zip(model.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    return stateless


def while_loop(condition, body):
    """`loop(state, *arguments)`, as one operation of the backend."""

    def loop(state, *arguments):
        (state,) = ops.while_loop(
            lambda state: condition(state, *arguments),
            lambda state: (body(state, *arguments),),
            (state,),
        )
        return state

    return loop


def product(x, weight):
    """`x @ weight` for `x` `(rows, n)` and `weight` `(n, m)`."""
    return ops.matmul(x, weight)


def recompute(function, *tensors):
    """`function(*tensors)`, of which only the tensors are kept for the backward pass.

    For what is cheap beside the matrix products but large: an activation's or an attention's
    inner steps. Chen et al., 2016, https://arxiv.org/abs/1604.06174.

    Args:
        function: of tensors, without random numbers.
    """
    return keras.remat(function)(*tensors)


def write_rows(cache, update, position):
    """Put `update` `(batch, heads, length, dim)` into a cache at `position` `(batch, length)`."""
    batch, heads, length = ops.shape(update)[:3]
    rows = ops.broadcast_to(ops.arange(batch)[:, None, None], (batch, heads, length))
    columns = ops.broadcast_to(ops.arange(heads)[None, :, None], (batch, heads, length))
    places = ops.broadcast_to(position[:, None, :], (batch, heads, length))
    indices = ops.reshape(ops.stack([rows, columns, places], axis=-1), (-1, 3))
    return ops.scatter_update(cache, indices, ops.reshape(update, (-1, update.shape[-1])))


def reorder_rows(cache, rows):
    """The rows of all tensors of a cache, in another order."""
    return tree.map_structure(lambda x: ops.take(x, rows, axis=0), cache)


def in_order(x):
    """`x`, laid out in memory as its shape says."""
    return x


def from_numpy(array):
    """The array as a tensor."""
    return ops.convert_to_tensor(array)


def adapt_batches(batches):
    """Batches as `keras.Model.fit` reads them."""
    return batches


def stop_tuning(iterator):
    """Nothing: no other thread tunes the data."""
