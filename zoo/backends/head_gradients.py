"""The sums and the gradients of a head's loss, in chunks of tokens, in Keras' operations."""

from keras import ops

from zoo.backends.common import product_in_float32

MAX_LOGITS = 2**25  # in one chunk of tokens: 128 MiB of float32


def chunk_sizes(num_tokens, vocab_size):
    """How many chunks the tokens go in, and how many tokens are in each but the last."""
    num_chunks = -(-num_tokens // max(1, MAX_LOGITS // vocab_size))
    return num_chunks, -(-num_tokens // num_chunks)


def head_gradients(hidden, table, labels, sample_weight, product=product_in_float32):
    """The two sums and the gradients of the first: float32, of the shapes of `hidden`, `table`.

    Args:
        product: `x @ y` of half-precision matrices, added up in float32. A sum over tokens would
            have no room in float16, and few digits in bfloat16.
    """

    def add(carry, start, hidden, labels, weight):
        sums, d_hidden, d_table = carry
        logits = logits_of(hidden, table)
        largest, partition, chunk_sums = read(logits, labels, weight)
        # weight * (softmax - one_hot)
        d_logits = ops.exp(logits - largest) * (weight[:, None] / partition)
        is_label = ops.arange(table.shape[0], dtype="int32") == labels[:, None]
        d_logits = ops.where(is_label, d_logits - weight[:, None], d_logits)
        d_logits = ops.cast(d_logits, hidden.dtype)
        d_hidden = ops.slice_update(d_hidden, (start, 0), product(d_logits, table))
        d_table = d_table + product(ops.transpose(d_logits), hidden)
        return sums + chunk_sums, d_hidden, d_table

    num_tokens = ops.shape(hidden)[0]
    num_chunks, size = chunk_sizes(num_tokens, table.shape[0])
    start = (
        ops.zeros((2,), "float32"),
        ops.zeros((num_chunks * size, hidden.shape[-1]), "float32"),
        ops.zeros(table.shape, "float32"),
    )
    tokens = hidden, labels, sample_weight
    sums, d_hidden, d_table = fold(add, start, tokens, table.shape[0])
    return sums, d_hidden[:num_tokens], d_table


def logits_of(hidden, table):
    return ops.cast(ops.matmul(hidden, ops.transpose(table)), "float32")


def read(logits, labels, weight):
    """The largest logit and the sum of `exp(logit - largest)`, `(chunk, 1)`; and the two sums."""
    largest = ops.max(logits, axis=-1, keepdims=True)
    partition = ops.sum(ops.exp(logits - largest), axis=-1, keepdims=True)
    label_logit = ops.take_along_axis(logits, labels[:, None], axis=-1)
    nats = ops.log(partition) + largest - label_logit
    is_likeliest = ops.cast(label_logit >= largest, "float32")
    sums = ops.stack([ops.sum(weight * nats[:, 0]), ops.sum(weight * is_likeliest[:, 0])])
    return largest, partition, sums


def fold(add, carry, tokens, vocab_size):
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
