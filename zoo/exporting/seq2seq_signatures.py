"""Signatures of `zoo.Seq2SeqLM`, which read a source and write a target."""

import tensorflow as tf

from zoo.exporting.graph_beam import search_tokens
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
from zoo.exporting.graph_generation import write_tokens
from zoo.exporting.graph_rows import non_empty
from zoo.exporting.graph_tokenizer import GraphTokenizer

BEAM = (
    tf.TensorSpec([], "int32", "beam_width"),
    tf.TensorSpec([], "float32", "length_penalty"),
)


def seq2seq_signatures(model):
    """`{name: graph}` of a `zoo.Seq2SeqLM`; see `zoo.export`."""
    signatures = {"serving_default": logits_signature(model)}
    if model.tokenizer is not None:
        texts = GraphPairs(model)
        signatures["tokenize"] = tokenize_signature(texts)
        signatures["generate"] = generate_signature(model.backbone, texts)
        signatures["translate"] = translate_signature(model.backbone, texts)
    return signatures


def logits_signature(model):
    """`(token_ids, padding_mask, decoder_token_ids) -> logits`."""

    @graph_function(
        tf.TensorSpec([None, None], "int32", "token_ids"),
        tf.TensorSpec([None, None], "bool", "padding_mask"),
        tf.TensorSpec([None, None], "int32", "decoder_token_ids"),
    )
    def serve(token_ids, padding_mask, decoder_token_ids):
        inputs = {
            "token_ids": require_ids(token_ids, model.backbone),
            "padding_mask": padding_mask,
            "decoder_token_ids": require_ids(decoder_token_ids, model.backbone),
        }
        return {"logits": tf.cast(model(inputs, training=False), "float32")}

    return serve


def tokenize_signature(texts):
    """`(text) -> (token_ids, padding_mask)`, the source of `serving_default`."""

    @graph_function(TEXT)
    def tokenize(text):
        token_ids, padding_mask = texts.sources(text)
        return {"token_ids": token_ids, "padding_mask": padding_mask}

    return tokenize


def generate_signature(backbone, texts):
    """`(text, max_new_tokens, temperature, top_p, seed) -> text`."""

    @graph_function(TEXT, MAX_NEW_TOKENS, *SAMPLING)
    def generate(text, max_new_tokens, temperature, top_p, seed):
        rules = *texts.length_rules(max_new_tokens), *sampling_rules(temperature, top_p)
        text = require_rules(text, *rules)
        read, token, cache = start(backbone, texts, text, 1, max_new_tokens)
        logits, cache = read(token, cache, 0)
        sampling = temperature, top_p, seed
        tokens = write_tokens(read, logits, cache, texts.end_id, max_new_tokens, *sampling)
        return {"text": texts.targets(tokens)}

    return generate


def translate_signature(backbone, texts):
    """`(text, max_new_tokens, beam_width, length_penalty) -> text`."""
    vocab_size = backbone.vocab_size

    @graph_function(TEXT, MAX_NEW_TOKENS, *BEAM)
    def translate(text, max_new_tokens, beam_width, length_penalty):
        text = require_rules(
            text,
            *texts.length_rules(max_new_tokens),
            (
                (beam_width >= 1) & (beam_width <= vocab_size),
                f"beam_width must be from 1 (greedy) to {vocab_size}, the vocabulary of the model",
                beam_width,
            ),
            (
                (length_penalty >= 0) & (length_penalty < float("inf")),
                "length_penalty must be at least 0",
                length_penalty,
            ),
        )
        read, token, cache = start(backbone, texts, text, beam_width, max_new_tokens)
        tokens = search_tokens(
            read, token, cache, texts.end_id, max_new_tokens, beam_width, length_penalty
        )
        return {"text": texts.targets(tokens)}

    return translate


def start(backbone, texts, text, copies, max_new_tokens):
    """Read sources, before their targets are written.

    Args:
        backbone: a backbone with `encode`, `project_context`, `make_cache`, `decode` and `logits`.
        texts: a `GraphPairs`.
        text: strings `(batch,)`, the sources.
        copies: int32 scalar, targets of each that are written side by side.
        max_new_tokens: int32 scalar.

    Returns:
        `read(token, cache, step)`, which reads the tokens before those of a step and returns the
        logits of these and the cache; the tokens before the first, int32 `(batch * copies,)`; and
        an empty cache.
    """
    token_ids, padding_mask = texts.sources(text)
    context = backbone.project_context(backbone.encode(token_ids, padding_mask))
    source = tf.repeat(tf.range(tf.shape(token_ids)[0]), copies)
    context, padding_mask = tf.nest.map_structure(
        lambda x: tf.gather(x, source), (context, padding_mask)
    )

    def read(token, cache, step):
        position = tf.fill(tf.shape(token), step)
        hidden, cache = backbone.decode(token[:, None], cache, position, context, padding_mask)
        return backbone.logits(hidden)[:, 0], cache

    token = tf.fill(tf.shape(source), texts.start_id)
    return read, token, backbone.make_cache(context, max_new_tokens)


class GraphPairs:
    """Sources from strings and strings from targets: what `zoo.data.pairs.PairFormat` does.

    Args:
        model: a `zoo.Seq2SeqLM` with a tokenizer.

    Raises:
        ValueError: if no graph can do what its tokenizer does.
    """

    def __init__(self, model):
        form = model.pair_format
        self.before_source = form.before_source
        self.start_id, self.end_id = form.start_id, form.end_id
        self.max_length = model.backbone.max_length
        self.tokenizer = GraphTokenizer(model.tokenizer)

    def sources(self, text):
        """Strings `(batch,)` to token ids, int32, and a padding mask, bool `(batch, length)`."""
        ids = non_empty(self.tokenizer.encode(text))
        longest = tf.reduce_max(tf.concat([ids.row_lengths(), [0]], axis=0))
        around = "start and end tokens" if self.before_source else "end token"
        checked = require(
            ids.flat_values,
            len(self.before_source) + longest < self.max_length,
            f"A source and its {around} must fit into the context of {self.max_length} tokens; "
            "got a source of",
            longest,
        )
        ids = ids.with_flat_values(checked)
        *before, end = (tf.fill([ids.nrows(), 1], i) for i in (*self.before_source, self.end_id))
        rows = tf.concat([*before, ids, end], axis=1)
        lengths = rows.row_lengths()
        # Attention reads no rows if they are a token long.
        length = tf.reduce_max(tf.concat([lengths, [1]], axis=0))
        token_ids = rows.to_tensor(shape=tf.stack([ids.nrows(), length]))
        return token_ids, tf.sequence_mask(lengths, length)

    def length_rules(self, max_new_tokens):
        fits = (
            max_new_tokens <= self.max_length,
            f"max_new_tokens must fit into the context of {self.max_length} tokens",
            max_new_tokens,
        )
        return length_rule(max_new_tokens), fits

    def targets(self, tokens):
        """Token ids `(batch, length)` to strings `(batch,)` of those before the end token."""
        return self.tokenizer.decode(cut_before(tokens, self.end_id))
