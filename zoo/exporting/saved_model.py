"""A task as a TensorFlow SavedModel. Works under Keras' TensorFlow backend only.

`python -m zoo.exporting.saved_model PRESET FOLDER` exports a preset: the way of other backends.
"""

import errno
import math
import sys

import tensorflow as tf

from zoo.exporting import checks
from zoo.exporting.encoder_signatures import encoder_signatures
from zoo.exporting.graph_functions import (
    MAX_NEW_TOKENS,
    SAMPLING,
    TEXT,
    cut_before,
    graph_function,
    length_rule,
    require,
    require_ids,
    require_rules,
    sampling_rules,
)
from zoo.exporting.graph_generation import generate_tokens
from zoo.exporting.graph_tokenizer import GraphTokenizer, as_utf8
from zoo.exporting.seq2seq_signatures import seq2seq_signatures
from zoo.generation.decoder import context_length
from zoo.layers import token_nats
from zoo.loading import load
from zoo.tasks import CausalLM, Seq2SeqLM


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
    try:
        tf.saved_model.save(module, str(folder), signatures=make_signatures(model))
    except tf.errors.OpError as error:
        if checks.DISK_FULL in error.message:
            raise OSError(errno.ENOSPC, checks.DISK_FULL) from error
        raise OSError(f"TensorFlow could not write the SavedModel: {error.message}") from error


def make_signatures(model):
    """`{name: graph}` of a task; see `zoo.export`."""
    if isinstance(model, CausalLM):
        return decoder_signatures(model)
    if isinstance(model, Seq2SeqLM):
        return seq2seq_signatures(model)
    return encoder_signatures(model)


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

    @graph_function(
        tf.TensorSpec([None, None], "int32", "token_ids"),
        tf.TensorSpec([None, None], "bool", "padding_mask"),
    )
    def serve(token_ids, padding_mask):
        inputs = {
            "token_ids": require_ids(token_ids, model.backbone),
            "padding_mask": padding_mask,
        }
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

    @graph_function(TEXT, MAX_NEW_TOKENS, *SAMPLING)
    def generate(text, max_new_tokens, temperature, top_p, seed):
        rules = length_rule(max_new_tokens), *sampling_rules(temperature, top_p)
        text = require_rules(as_utf8(text), *rules)
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


def main(preset, folder):
    """Export a preset folder into an empty folder."""
    write(load(preset), folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
