"""Label smoothing, with or without the logits of all tokens."""

from keras import ops

from zoo.layers import take_rows

# With `s` the smoothing and `q = (1 - s) one_hot(label) + s / vocab_size`, the cross-entropy
# `-sum_v q(v) log p(v)` is the label's nats and `s` times what its logit is above the mean of all.


def excess_of_logits(labels, logits):
    """How far the logit of each label is above the mean of all tokens'.

    Szegedy et al., 2016, section 7, https://arxiv.org/abs/1512.00567

    Args:
        labels: int32 `(batch, length)`.
        logits: `(batch, length, vocab_size)`.

    Returns:
        float32 `(batch, length)`.
    """
    logits = ops.cast(logits, "float32")
    label_logit = ops.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return label_logit - ops.mean(logits, axis=-1)


def excess_through_head(labels, hidden, table):
    """The same of logits `hidden @ table.T`: only products with two rows of the table are needed.

    Args:
        labels: int32 `(batch, length)`.
        hidden: `(batch, length, hidden_dim)`.
        table: `(vocab_size, hidden_dim)`.
    """
    mean_row = ops.mean(ops.cast(table, "float32"), axis=0)
    row = ops.cast(take_rows(table, labels), "float32") - mean_row
    return ops.sum(ops.cast(hidden, "float32") * row, axis=-1)
