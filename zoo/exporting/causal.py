"""Signatures of `zoo.CausalLM`, which continue a text and say how likely one is."""

import math

import tensorflow as tf

from zoo.exporting.decoding import Sampling, draw, generate_signature
from zoo.exporting.graph_functions import (
    MAX_NEW_TOKENS,
    PROCESSING,
    SAMPLING,
    TEXT,
    TRUNCATE,
    as_padded,
    graph_function,
    length_rule,
    longest_of,
    part_of_each,
    processing_rules,
    require,
    require_ids,
    require_rules,
    sampling_rules,
)
from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer, as_utf8
from zoo.generation.readers import context_length
from zoo.layers import token_nats


def causal_signatures(model):
    """`{name: graph}` of a `zoo.CausalLM`; see `zoo.export`."""
    signatures = {"serving_default": logits_signature(model)}
    if model.tokenizer is not None:
        tokenizer = GraphTokenizer(model.tokenizer)
        signatures["tokenize"] = tokenize_signature(tokenizer)
        signatures["sample"] = sample_signature(model, tokenizer)
        signatures["generate"] = generate_signature(signatures["sample"])
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


def sample_signature(model, tokenizer):
    """`(text, max_new_tokens, temperature, top_p, seed, ..., truncate) -> (text, log_prob)`."""
    most = context_length(model.backbone)
    start_id = model.start_of_text("Continuing an empty prompt")

    @graph_function(TEXT, MAX_NEW_TOKENS, *SAMPLING, *PROCESSING, TRUNCATE)
    def sample(text, max_new_tokens, temperature, top_p, seed, *others):
        *others, truncate = others
        sampling = Sampling(max_new_tokens, seed, temperature, top_p, *others)
        rules = length_rule(max_new_tokens), *sampling_rules(temperature, top_p)
        text = require_rules(as_utf8(text), *rules, *processing_rules(sampling))
        prompts = begun(tokenizer.encode(text), start_id, model.tokenizer.first_id is None)
        if not math.isinf(most):
            prompts = fitted(prompts, max_new_tokens, truncate, most)
        tokens, log_prob = draw(model.decoder, *as_padded(prompts), sampling)
        new_text = tokenizer.decode(tokens)
        return {"text": tf.strings.join([text, new_text]), "log_prob": log_prob}

    return sample


def fitted(prompts, max_new_tokens, truncate, most):
    """Ragged prompts with room for what follows, their ends alone if they may be cut."""
    longest, room = longest_of(prompts), most - max_new_tokens
    checked = require(
        prompts.flat_values,
        (longest <= room) | (truncate & (room >= 1)),
        f"The tokens of a prompt and max_new_tokens must fit into the context of {most} tokens, or "
        "truncate be true and keep only the end of a prompt; got",
        longest,
        "and",
        max_new_tokens,
    )
    lengths = prompts.row_lengths()
    starts = tf.maximum(lengths - tf.cast(room, lengths.dtype), 0)
    return part_of_each(prompts.with_flat_values(checked), starts, lengths)


def score_signature(model, tokenizer):
    """`(text) -> (nats, tokens)`."""
    most = context_length(model.backbone)
    start_id = model.start_of_text("Scoring a text from its first token on")

    @graph_function(TEXT)
    def score(text):
        ids = tokenizer.encode(text)
        lengths, longest = tf.cast(ids.row_lengths(), "int32"), longest_of(ids)
        labels = ids.to_tensor()
        if not math.isinf(most):
            rule = f"A text must fit into the context of {most} tokens; got"
            labels = require(labels, longest <= most, rule, longest)
        first = tf.fill([tf.shape(labels)[0], 1], start_id)
        token_ids = tf.concat([first, labels[:, :-1]], axis=1)[:, :longest]
        nats = token_nats(labels, model(token_ids, training=False))
        nats = tf.reduce_sum(tf.where(tf.sequence_mask(lengths), nats, 0.0), axis=1)
        return {"nats": nats, "tokens": lengths}

    return score


def begun(rows, start_id, only_empty):
    """Ragged rows with `start_id` before each, or in the empty ones alone.

    Some tokenizers' files put a token before each text; without one, the start of a text follows
    another's end.
    """
    lengths = rows.row_lengths()
    counts = tf.cast(lengths == 0, "int64") if only_empty else tf.ones_like(lengths)
    starts = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(counts)], start_id), counts)
    return tf.concat([starts, rows], axis=1)
