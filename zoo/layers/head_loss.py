"""Cross-entropy through a tied head, without the logits of all tokens in memory."""

import keras
from keras import ops

MAX_LOGITS = 2**25  # in one chunk of tokens: 128 MiB of float32


def head_cross_entropy(hidden, table, labels, sample_weight, training=True):
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

    sums_and_gradients = _sums_and_gradients
    if keras.backend.backend() == "torch":
        from zoo.layers.head_loss_torch import sums_and_gradients

    @ops.custom_gradient
    def sums_of(hidden, table):
        sums, d_hidden, d_table = sums_and_gradients(hidden, table, labels, sample_weight)

        def gradient(*args, upstream=None):
            scale = (args[0] if upstream is None else upstream)[0]
            return (
                ops.cast(scale * d_hidden, hidden.dtype),
                ops.cast(scale * d_table, table.dtype),
            )

        return sums, gradient

    sums = sums_of(hidden, table)
    return sums[0], sums[1]


def chunk_sizes(num_tokens, vocab_size):
    """How many chunks the tokens go in, and how many tokens are in each but the last."""
    num_chunks = -(-num_tokens // max(1, MAX_LOGITS // vocab_size))
    return num_chunks, -(-num_tokens // num_chunks)


def _sums(hidden, table, labels, sample_weight):
    """The two sums as one float32 `(2,)`."""

    def add(sums, start, hidden, labels, weight):
        _, _, chunk_sums = _read(_logits(hidden, table), labels, weight)
        return sums + chunk_sums

    start = ops.zeros((2,), "float32")
    return _fold(add, start, (hidden, labels, sample_weight), table.shape[0])


def _sums_and_gradients(hidden, table, labels, sample_weight):
    """The two sums and the gradients of the first: float32, of the shapes of `hidden`, `table`."""

    def add(carry, start, hidden, labels, weight):
        sums, d_hidden, d_table = carry
        logits = _logits(hidden, table)
        largest, partition, chunk_sums = _read(logits, labels, weight)
        # weight * (softmax - one_hot)
        d_logits = ops.exp(logits - largest) * (weight[:, None] / partition)
        is_label = ops.arange(table.shape[0], dtype="int32") == labels[:, None]
        d_logits = ops.where(is_label, d_logits - weight[:, None], d_logits)
        d_logits = ops.cast(d_logits, hidden.dtype)
        d_chunk = ops.cast(ops.matmul(d_logits, table), "float32")
        d_hidden = ops.slice_update(d_hidden, (start, 0), d_chunk)
        d_table = d_table + ops.cast(ops.matmul(ops.transpose(d_logits), hidden), "float32")
        return sums + chunk_sums, d_hidden, d_table

    num_tokens = ops.shape(hidden)[0]
    num_chunks, size = chunk_sizes(num_tokens, table.shape[0])
    start = (
        ops.zeros((2,), "float32"),
        ops.zeros((num_chunks * size, hidden.shape[-1]), "float32"),
        ops.zeros(table.shape, "float32"),
    )
    tokens = hidden, labels, sample_weight
    sums, d_hidden, d_table = _fold(add, start, tokens, table.shape[0])
    return sums, d_hidden[:num_tokens], d_table


def _logits(hidden, table):
    return ops.cast(ops.matmul(hidden, ops.transpose(table)), "float32")


def _read(logits, labels, weight):
    """The largest logit and the sum of `exp(logit - largest)`, `(chunk, 1)`; and the two sums."""
    largest = ops.max(logits, axis=-1, keepdims=True)
    partition = ops.sum(ops.exp(logits - largest), axis=-1, keepdims=True)
    label_logit = ops.take_along_axis(logits, labels[:, None], axis=-1)
    nats = ops.log(partition) + largest - label_logit
    is_likeliest = ops.cast(label_logit >= largest, "float32")
    sums = ops.stack([ops.sum(weight * nats[:, 0]), ops.sum(weight * is_likeliest[:, 0])])
    return largest, partition, sums


def _fold(add, carry, tokens, vocab_size):
    """`carry = add(carry, start, *chunk)` over all chunks; the last is filled with no weight."""
    num_tokens = ops.shape(tokens[0])[0]
    num_chunks, size = chunk_sizes(num_tokens, vocab_size)
    if isinstance(num_chunks, int) and num_chunks == 1:
        return add(carry, 0, *tokens)
    missing = num_chunks * size - num_tokens
    tokens = [ops.pad(x, [(0, missing)] + [(0, 0)] * (len(x.shape) - 1)) for x in tokens]

    def add_chunk(i, carry):
        start = i * size
        chunk = [
            ops.slice(x, (start,) + (0,) * (len(x.shape) - 1), (size, *x.shape[1:])) for x in tokens
        ]
        return add(carry, start, *chunk)

    return ops.fori_loop(0, num_chunks, add_chunk, carry)
