"""A task as a TensorFlow SavedModel. Works under Keras' TensorFlow backend only.

`python -m zoo.exporting.saved_model PRESET FOLDER` exports a preset: the way of other backends.
"""

import errno
import math
import sys

import tensorflow as tf

from zoo.exporting import checks
from zoo.exporting.encoder_signatures import encoder_signatures
from zoo.exporting.graph_functions import TEXT, graph_function, require
from zoo.exporting.graph_generation import generate_tokens
from zoo.exporting.graph_tokenizer import GraphTokenizer, as_utf8
from zoo.generation.decoder import context_length
from zoo.layers import token_nats
from zoo.loading import load
from zoo.tasks.causal_lm import CausalLM


def write(model, folder):
    """Write a task with the signatures that `zoo.export` tells of.

    Args:
        model: a task.
        folder: path of an empty folder.

    Raises:
        ValueError: if the tokenizer cannot be put into a graph.
        OSError: if TensorFlow cannot write.
    """
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]  # what the graphs may read
    is_decoder = isinstance(model, CausalLM)
    signatures = decoder_signatures(model) if is_decoder else encoder_signatures(model)
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        if checks.DISK_FULL in error.message:
            raise OSError(errno.ENOSPC, checks.DISK_FULL) from error
        raise OSError(f"TensorFlow could not write the SavedModel: {error.message}") from error


def decoder_signatures(model):
    """`{name: graph}` of a `zoo.CausalLM`."""
    signatures = {"serving_default": logits_signature(model)}
    if model.tokenizer is not None:
        tokenizer = GraphTokenizer(model.tokenizer)
        signatures["tokenize"] = tokenize_signature(tokenizer)
        signatures["generate"] = generate_signature(model.backbone, tokenizer)
        signatures["score"] = score_signature(model, tokenizer)
    return signatures


def logits_signature(model):
    """`(token_ids, padding_mask) -> logits`."""
    vocab_size, max_length = model.backbone.vocab_size, model.backbone.max_length

    @graph_function(
        tf.TensorSpec([None, None], "int32", "token_ids"),
        tf.TensorSpec([None, None], "bool", "padding_mask"),
    )
    def serve(token_ids, padding_mask):
        token_ids = require(
            token_ids,
            tf.reduce_all((token_ids >= 0) & (token_ids < vocab_size)),
            f"Token ids must be from 0 to {vocab_size - 1}, the vocabulary of the model.",
        )
        length = tf.shape(token_ids)[1]
        token_ids = require(
            token_ids,
            length <= max_length,
            f"A sequence must fit into the context of {max_length} tokens; got",
            length,
        )
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        return {"logits": tf.cast(model(inputs, training=False), "float32")}

    return serve


def tokenize_signature(tokenizer):
    """`(text) -> (token_ids, padding_mask)`, the inputs of `serving_default`."""

    @graph_function(TEXT)
    def tokenize(text):
        ids = tokenizer.encode(as_utf8(text))
        return {"token_ids": ids.to_tensor(), "padding_mask": tf.sequence_mask(ids.row_lengths())}

    return tokenize


def generate_signature(backbone, tokenizer):
    """`(text, max_new_tokens, temperature, top_p, seed) -> text`."""
    most = context_length(backbone)

    @graph_function(
        TEXT,
        tf.TensorSpec([], "int32", "max_new_tokens"),
        tf.TensorSpec([], "float32", "temperature"),
        tf.TensorSpec([], "float32", "top_p"),
        tf.TensorSpec([], "int32", "seed"),
    )
    def generate(text, max_new_tokens, temperature, top_p, seed):
        text = as_utf8(text)
        for is_right, rule, value in (
            (max_new_tokens >= 1, "max_new_tokens must be at least 1", max_new_tokens),
            (temperature >= 0, "temperature must be at least 0 (0 is greedy)", temperature),
            ((top_p > 0) & (top_p <= 1), "top_p must be above 0 and at most 1", top_p),
        ):
            text = require(text, is_right, f"{rule}; got", value)
        prompts = fill_empty(tokenizer.encode(text), tokenizer.end_id)
        if not math.isinf(most):
            longest = tf.reduce_max(tf.concat([prompts.row_lengths(), [0]], axis=0))
            checked = require(
                prompts.flat_values,
                longest + tf.cast(max_new_tokens, "int64") <= most,
                f"The tokens of a prompt and max_new_tokens must fit into the context of {most} "
                "tokens; got",
                longest,
                "and",
                max_new_tokens,
            )
            prompts = prompts.with_flat_values(checked)
        tokens = generate_tokens(
            backbone, prompts, tokenizer.end_id, max_new_tokens, temperature, top_p, seed
        )
        new_text = tokenizer.decode(cut_before(tokens, tokenizer.end_id))
        return {"text": tf.strings.join([text, new_text])}

    return generate


def score_signature(model, tokenizer):
    """`(text) -> (nats, tokens)`."""
    max_length = model.backbone.max_length

    @graph_function(TEXT)
    def score(text):
        ids = tokenizer.encode(text)
        lengths = tf.cast(ids.row_lengths(), "int32")
        longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))
        labels = require(
            ids.to_tensor(),
            longest <= max_length,
            f"A text must fit into the context of {max_length} tokens; got",
            longest,
        )
        first = tf.fill([tf.shape(labels)[0], 1], tokenizer.end_id)
        token_ids = tf.concat([first, labels[:, :-1]], axis=1)[:, :longest]
        nats = token_nats(labels, model(token_ids, training=False))
        nats = tf.reduce_sum(tf.where(tf.sequence_mask(lengths), nats, 0.0), axis=1)
        return {"nats": nats, "tokens": lengths}

    return score


def fill_empty(rows, start_id):
    """Ragged rows with `start_id` in the empty ones: the start of a text follows another's end."""
    is_empty = rows.row_lengths() == 0
    starts = tf.fill([tf.math.count_nonzero(is_empty)], start_id)
    starts = tf.RaggedTensor.from_row_lengths(starts, tf.cast(is_empty, "int64"))
    return tf.concat([starts, rows], axis=1)


def cut_before(rows, end_id):
    """`(batch, length)` ids as ragged rows that stop before their first `end_id`."""
    is_end = tf.cast(rows == end_id, "int32")
    lengths = tf.reduce_sum(tf.cast(tf.cumsum(is_end, axis=1) == 0, "int32"), axis=1)
    return tf.RaggedTensor.from_tensor(rows, lengths)


def main(preset, folder):
    """Export a preset folder into an empty folder."""
    write(load(preset), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
