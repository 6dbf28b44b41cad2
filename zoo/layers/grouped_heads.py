"""Heads of queries that share one of keys: folded into its queries, so that it is not repeated."""

from keras import ops


def fold(query, groups):
    """Put the heads that share a key's head below one another: they are more queries of it.

    `(batch, length, heads, head_dim)` to `(batch, groups * length, heads / groups, head_dim)`.
    """
    if groups == 1:
        return query
    (batch_size, length), (num_heads, head_dim) = ops.shape(query)[:2], query.shape[2:]
    heads = num_heads // groups
    query = ops.reshape(query, (batch_size, length, heads, groups, head_dim))
    query = ops.transpose(query, (0, 3, 1, 2, 4))
    return ops.reshape(query, (batch_size, groups * length, heads, head_dim))


def unfold(attended, groups):
    """The way back from `fold`."""
    if groups == 1:
        return attended
    (batch_size, length), (heads, head_dim) = ops.shape(attended)[:2], attended.shape[2:]
    length = length // groups
    attended = ops.reshape(attended, (batch_size, groups, length, heads, head_dim))
    attended = ops.transpose(attended, (0, 2, 3, 1, 4))
    return ops.reshape(attended, (batch_size, length, heads * groups, head_dim))


def fold_rows(scores, groups, query_length):
    """A bias or a mask for what `fold` makes of the queries."""
    if scores is None or groups == 1:
        return scores
    heads, rows = scores.shape[1:3]
    if heads == 1:
        return scores if rows == 1 else ops.tile(scores, (1, 1, groups, 1))
    if rows == 1:
        shape = (ops.shape(scores)[0], heads, query_length, ops.shape(scores)[-1])
        scores = ops.broadcast_to(scores, shape)
    shape = (ops.shape(scores)[0], heads // groups, groups * query_length, ops.shape(scores)[-1])
    return ops.reshape(scores, shape)
