"""Rows of a batch that read the same context, such as the beams of one source."""

from keras import ops


def gather_by_context(query, context):
    """Put the queries of rows that share a context beside one another.

    Args:
        query: `(batch, length, ...)`.
        context: a tensor of `rows`, of which each serves `batch // rows` rows of the query, one
            after the other.

    Returns:
        `(rows, batch // rows * length, ...)`.

    Raises:
        ValueError: a batch that is not a multiple of the context's rows.
    """
    batch_size, num_rows = ops.shape(query)[0], ops.shape(context)[0]
    are_known = isinstance(batch_size, int) and isinstance(num_rows, int)
    if are_known and num_rows and batch_size % num_rows:
        raise ValueError(
            "Each row of a context serves equally many of a batch, whose size must be a multiple "
            f"of the context's; got {batch_size} and {num_rows}."
        )
    copies = batch_size // (max(num_rows, 1) if are_known else ops.maximum(num_rows, 1))
    return ops.reshape(query, (num_rows, copies * ops.shape(query)[1], *query.shape[2:]))
