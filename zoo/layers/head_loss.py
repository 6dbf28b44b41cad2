"""Cross-entropy through a tied head, without the logits of all tokens in memory."""

from typing import Any

from keras import ops

from zoo.backends import backend
from zoo.backends.head_gradients import fold, logits_of, read


def head_cross_entropy(
    hidden: Any, table: Any, labels: Any, sample_weight: Any, training: bool = True
) -> Any:
    """The nats of labels under `softmax(hidden @ table.T)`, and how many are the likeliest token.

    Tokens go through the head in chunks of a bounded size. In training the gradients of a chunk
    are taken while its logits are there, so that nothing is kept and nothing computed twice.

    Args:
        hidden: `(tokens, hidden_dim)`.
        table: `(vocab_size, hidden_dim)`, of the same dtype.
        labels: int32 `(tokens,)`.
        sample_weight: float32 `(tokens,)`.
        training: bool, whether gradients with respect to `hidden` and `table` will be asked for.

    Returns:
        Two float32 scalars, both sums weighted by `sample_weight`: the nats, and the labels that no
        token has a larger logit than. Only the nats have gradients.
    """
    if not training:
        sums = _sums(hidden, table, labels, sample_weight)
        return sums[0], sums[1]

    @ops.custom_gradient
    def sums_of(hidden, table):
        sums, d_hidden, d_table = backend.head_gradients(hidden, table, labels, sample_weight)

        def gradient(*args, upstream=None):
            scale = (args[0] if upstream is None else upstream)[0]
            return (
                ops.cast(scale * d_hidden, hidden.dtype),
                ops.cast(scale * d_table, table.dtype),
            )

        return sums, gradient

    sums = sums_of(hidden, table)
    return sums[0], sums[1]


def _sums(hidden, table, labels, sample_weight):
    """The two sums as one float32 `(2,)`."""

    def add(sums, start, hidden, labels, weight):
        _, _, chunk_sums = read(logits_of(hidden, table), labels, weight)
        return sums + chunk_sums

    start = ops.zeros((2,), "float32")
    return fold(add, start, (hidden, labels, sample_weight), table.shape[0])
