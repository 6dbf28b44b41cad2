"""Signatures of `zoo.Seq2SeqLM`, which read a source and write a target."""

import tensorflow as tf

from zoo.exporting.decoding import Sampling, draw, generate_signature, search
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
    processing_rules,
    require,
    require_ids,
    require_rules,
    sampling_rules,
)
from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer

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
        signatures["sample"] = sample_signature(model, texts)
        signatures["generate"] = generate_signature(signatures["sample"])
        signatures["translate"] = translate_signature(model, texts)
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
        token_ids, lengths = texts.rows(text, truncate=False)
        mask = tf.sequence_mask(lengths, tf.shape(token_ids)[1])
        return {"token_ids": token_ids, "padding_mask": mask}

    return tokenize


def sample_signature(model, texts):
    """`(text, max_new_tokens, temperature, top_p, seed, ..., truncate) -> (text, log_prob)`."""

    @graph_function(TEXT, MAX_NEW_TOKENS, *SAMPLING, *PROCESSING, TRUNCATE)
    def sample(text, max_new_tokens, temperature, top_p, seed, *others):
        *others, truncate = others
        sampling = Sampling(max_new_tokens, seed, temperature, top_p, *others)
        rules = *texts.length_rules(max_new_tokens), *sampling_rules(temperature, top_p)
        rows = texts.rows(require_rules(text, *rules, *processing_rules(sampling)), truncate)
        tokens, log_prob = draw(model.decoder, *rows, sampling)
        return {"text": texts.decode(tokens, text), "log_prob": log_prob}

    return sample


def translate_signature(model, texts):
    """`(text, max_new_tokens, beam_width, length_penalty, truncate) -> text`."""
    vocab_size = model.decoder.num_choices

    @graph_function(TEXT, MAX_NEW_TOKENS, *BEAM, TRUNCATE)
    def translate(text, max_new_tokens, beam_width, length_penalty, truncate):
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
        beam = max_new_tokens, beam_width, length_penalty
        tokens = search(model.decoder, *texts.rows(text, truncate), *beam)
        return {"text": texts.decode(tokens, text)}

    return translate


class GraphPairs:
    """Sources from strings and strings from targets: what `zoo.data.pairs.PairFormat` does.

    Args:
        model: a `zoo.Seq2SeqLM` with a tokenizer.

    Raises:
        ValueError: if no graph can do what its tokenizer does.
    """

    def __init__(self, model):
        form = model.pair_format
        self.before_source, self.after_source = form.before_source, form.after_source
        self.max_length = model.backbone.max_length
        self.most_new = self.max_length - model.special_tokens.num_given
        self.tokenizer = GraphTokenizer(model.tokenizer)

    def rows(self, text, truncate):
        """Strings `(batch,)` to token ids, int32 `(batch, longest)`, and int32 lengths.

        Of a source that is too long only the start is read if `truncate`; else it is refused.
        """
        ids = self.tokenizer.encode(text)
        longest = longest_of(ids)
        around = "start and end tokens" if self.before_source else "end token"
        room = self.max_length - len(self.before_source) - len(self.after_source)
        checked = require(
            ids.flat_values,
            (longest <= room) | truncate,
            f"A source and its {around} must fit into the context of {self.max_length} tokens, or "
            "truncate be true and only its start be read; got a source of",
            longest,
        )
        ids = ids.with_flat_values(checked)[:, : max(room, 0)]
        before, after = (
            [tf.fill([ids.nrows(), 1], i) for i in around]
            for around in (self.before_source, self.after_source)
        )
        return as_padded(tf.concat([*before, ids, *after], axis=1))

    def decode(self, tokens, sources):
        """The texts of targets; that of a source without a token is empty."""
        is_empty = self.tokenizer.encode(sources).row_lengths() == 0
        return tf.where(is_empty, "", self.tokenizer.decode(tokens))

    def length_rules(self, max_new_tokens):
        fits = (
            max_new_tokens <= self.most_new,
            f"max_new_tokens must fit into the context of {self.most_new} tokens",
            max_new_tokens,
        )
        return length_rule(max_new_tokens), fits
