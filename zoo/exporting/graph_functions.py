"""Small parts of the graphs in a SavedModel."""

import tensorflow as tf

TEXT = tf.TensorSpec([None], "string", "text")
MAX_NEW_TOKENS = tf.TensorSpec([], "int32", "max_new_tokens")
SAMPLING = (
    tf.TensorSpec([], "float32", "temperature"),
    tf.TensorSpec([], "float32", "top_p"),
    tf.TensorSpec([], "int32", "seed"),
)
TRUNCATE = tf.TensorSpec([], "bool", "truncate")
PROCESSING = (
    tf.TensorSpec([], "int32", "top_k"),
    tf.TensorSpec([], "float32", "min_p"),
    tf.TensorSpec([], "float32", "typical_p"),
    tf.TensorSpec([], "float32", "eta_cutoff"),
    tf.TensorSpec([], "int32", "min_new_tokens"),
    tf.TensorSpec([], "float32", "repetition_penalty"),
    tf.TensorSpec([], "float32", "presence_penalty"),
    tf.TensorSpec([], "float32", "frequency_penalty"),
)


def graph_function(*specs):
    """Make a function a graph with inputs of these kinds, traced as it is written."""
    return tf.function(input_signature=specs, autograph=False)


def require(tensor, condition, *message):
    """`tensor`, which nothing reads before `condition` is found to hold."""
    with tf.control_dependencies([tf.debugging.Assert(condition, list(message))]):
        return tf.identity(tensor)


def require_rules(tensor, *rules):
    """`tensor`, which nothing reads before each `(condition, rule, value)` is found to hold."""
    for is_right, rule, value in rules:
        tensor = require(tensor, is_right, f"{rule}; got", value)
    return tensor


def length_rule(max_new_tokens):
    return max_new_tokens >= 1, "max_new_tokens must be at least 1", max_new_tokens


def sampling_rules(temperature, top_p):
    return (
        (
            (temperature >= 0) & (temperature < float("inf")),
            "temperature must be at least 0 and finite (0 is greedy)",
            temperature,
        ),
        ((top_p > 0) & (top_p <= 1), "top_p must be above 0 and at most 1", top_p),
    )


def processing_rules(sampling):
    """What must hold of the other numbers of a `zoo.exporting.decoding.Sampling`."""
    top_k, min_p, typical_p, eta = sampling[4:8]
    shortest, repetition, presence, frequency = sampling[8:]
    return (
        (top_k >= 0, "top_k must be at least 0 (0 keeps every token)", top_k),
        ((min_p >= 0) & (min_p <= 1), "min_p must be between 0 and 1", min_p),
        ((typical_p > 0) & (typical_p <= 1), "typical_p must be above 0 and at most 1", typical_p),
        ((eta >= 0) & (eta < 1), "eta_cutoff must be at least 0 and below 1", eta),
        (shortest >= 0, "min_new_tokens must be at least 0", shortest),
        (repetition > 0, "repetition_penalty must be above 0 (1 changes nothing)", repetition),
        (tf.math.is_finite(presence), "presence_penalty must be finite", presence),
        (tf.math.is_finite(frequency), "frequency_penalty must be finite", frequency),
    )


def require_ids(token_ids, backbone):
    """Token ids `(batch, length)` that are in the vocabulary and fit into the context."""
    vocab_size, max_length = backbone.vocab_size, backbone.max_length
    token_ids = require(
        token_ids,
        tf.reduce_all((token_ids >= 0) & (token_ids < vocab_size)),
        f"Token ids must be from 0 to {vocab_size - 1}, the vocabulary of the model.",
    )
    length = tf.shape(token_ids)[1]
    return require(
        token_ids,
        length <= max_length,
        f"A sequence must fit into the context of {max_length} tokens; got",
        length,
    )


def as_padded(rows):
    """Ragged rows of ids as int32 `(batch, length)`, a column at least, and int32 lengths.

    Without columns, TensorFlow could not tell how many rows an empty tensor has.
    """
    length = tf.maximum(longest_of(rows), 1)
    shape = tf.stack([tf.cast(rows.nrows(), "int32"), length])
    return rows.to_tensor(shape=shape), tf.cast(rows.row_lengths(), "int32")


def part_of_each(rows, starts, ends):
    """Of each ragged row the items from `starts[i]` on and before `ends[i]`."""
    places = tf.ragged.range(rows.row_lengths())
    row_of = places.value_rowids()
    keep = tf.ragged.map_flat_values(
        lambda place: (place >= tf.gather(starts, row_of)) & (place < tf.gather(ends, row_of)),
        places,
    )
    return tf.ragged.boolean_mask(rows, keep)


def longest_of(rows):
    """The length of the longest ragged row, int32; 0 without any."""
    return tf.cast(tf.reduce_max(tf.concat([rows.row_lengths(), [0]], axis=0)), "int32")
