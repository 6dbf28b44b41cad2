"""Signatures of the tasks over encoders, which take text and return what it was asked for."""

import tensorflow as tf

from zoo.exporting.graph_functions import TEXT, graph_function, require, require_ids
from zoo.exporting.rows import GraphRows, non_empty
from zoo.tasks import (
    BertPretrainer,
    MaskedLM,
    QuestionAnswerer,
    TextClassifier,
    TextEmbedder,
    TokenClassifier,
)
from zoo.tasks.question_answering import QUESTION_LENGTH

SECOND = tf.TensorSpec([None], "string", "second")


def encoder_signatures(model):
    """`{name: graph}` of a task over an encoder; see `zoo.export`."""
    signatures = {"serving_default": outputs_signature(model)}
    if model.tokenizer is not None:
        rows = GraphRows(model)
        signatures["tokenize"] = tokenize_signature(rows)
        signatures |= SIGNATURES[type(model)](model, rows)
    return signatures


def outputs_signature(model):
    """The inputs of the backbone, padded, to the model's output."""
    known = model.backbone.optional_inputs
    names = ["token_ids", *(name for name in model.optional_inputs if name in known)]
    dtypes = {"padding_mask": "bool"}
    specs = [tf.TensorSpec([None, None], dtypes.get(name, "int32"), name) for name in names]

    @graph_function(*specs)
    def serve(token_ids, *optional):
        token_ids = require_ids(token_ids, model.backbone)
        outputs = model(dict(zip(names, (token_ids, *optional), strict=True)), training=False)
        return outputs if isinstance(outputs, dict) else {output_name(model): as_float(outputs)}

    return serve


def output_name(model):
    return "embedding" if isinstance(model, TextEmbedder) else "logits"


def as_float(x):
    return tf.cast(x, "float32")


def tokenize_signature(rows):
    """`(text) -> (token_ids, padding_mask, segment_ids)`, the inputs of `serving_default`."""

    @graph_function(TEXT)
    def tokenize(text):
        return rows.inputs(*rows.cut(rows.ids(text)))

    return tokenize


def classifier_signatures(model, rows):
    labels = list(model.labels)

    def classify_rows(first, second=None):
        logits = as_float(model(rows.inputs(*rows.cut(first, second)), training=False))
        if model.problem == "regression":
            return {"value": logits, "labels": tf.constant(labels)}
        if model.problem == "multi_label":
            probabilities = tf.math.sigmoid(logits)
            chosen = {"is_label": probabilities > 0.5, "probabilities": probabilities}
            return {**chosen, "labels": tf.constant(labels)}
        return {
            "label": tf.gather(tf.constant(labels), tf.argmax(logits, axis=-1)),
            "probabilities": tf.nn.softmax(logits),
            "labels": tf.constant(labels),
        }

    @graph_function(TEXT)
    def classify(text):
        return classify_rows(rows.ids(text))

    @graph_function(TEXT, SECOND)
    def classify_pair(text, second):
        return classify_rows(rows.ids(text), rows.ids(second))

    return {"classify": classify, "classify_pair": classify_pair}


def tagger_signatures(model, rows):
    labels = list(model.labels)
    tokenizer = model.tokenizer
    begins = [not tokenizer.id_to_token(i).startswith("##") for i in range(tokenizer.vocab_size)]

    @graph_function(TEXT)
    def tag(text):
        ids, starts, ends = rows.ids_and_offsets(text)
        ids = rows.require_fit(ids)
        logits = as_float(model(rows.inputs(ids), training=False))[:, 1:]
        logits = tf.RaggedTensor.from_tensor(logits, ids.row_lengths(), ragged_rank=1)
        is_first = tf.gather(tf.constant(begins), ids)
        word = tf.cumsum(tf.cast(is_first.flat_values, "int64")) - 1
        probabilities = tf.nn.softmax(tf.boolean_mask(logits.flat_values, is_first.flat_values))
        best = tf.gather(tf.constant(labels), tf.argmax(probabilities, axis=-1))
        word_rows = tf.boolean_mask(ids.value_rowids(), is_first.flat_values)

        def padded(values, padding):
            by_row = tf.RaggedTensor.from_value_rowids(values, word_rows, ids.nrows())
            return by_row.to_tensor(padding)

        return {
            "label": padded(best, ""),
            "start": padded(tf.boolean_mask(starts.flat_values, is_first.flat_values), -1),
            "end": padded(tf.math.segment_max(ends.flat_values, word), -1),
            "score": padded(tf.reduce_max(probabilities, axis=-1), 0.0),
        }

    return {"tag": tag}


def answerer_signatures(model, rows):
    longest = model.max_answer_length

    @graph_function(
        tf.TensorSpec([None], "string", "question"), tf.TensorSpec([None], "string", "context")
    )
    def answer(question, context):
        asked = non_empty(rows.ids(question))[:, :QUESTION_LENGTH]
        ids, starts, ends = rows.ids_and_offsets(context)
        ids = non_empty(ids)
        asked = rows.require_fit(asked, ids)
        logits = model(rows.inputs(asked, ids), training=False)
        first = asked.row_lengths()[:, None] + 1 + rows.form.between
        places = tf.range(tf.shape(logits, "int64")[1])[None]
        is_context = (places >= first) & (places < first + ids.row_lengths()[:, None])
        start, end = (tf.where(is_context, logits[:, :, i], -1e9) for i in range(2))
        scores = start[:, :, None] + end[:, None, :]
        length = places[0][None] - places[0][:, None]  # of the span from row to column, less 1
        scores = tf.where((length >= 0) & (length < longest), scores, -4e9)
        size = tf.shape(scores, "int64")[1]
        best = tf.argmax(tf.reshape(scores, [-1, size * size]), axis=-1)
        score = tf.reduce_max(scores, axis=[1, 2]) - tf.reduce_sum(logits[:, 0], axis=-1)
        is_answer = score > model.no_answer_threshold
        from_character = tf.gather(starts, best // size - first[:, 0], batch_dims=1)
        to_character = tf.gather(ends, best % size - first[:, 0], batch_dims=1)
        count = to_character - from_character
        text = tf.strings.substr(context, from_character, count, unit="UTF8_CHAR")
        return {
            "text": tf.where(is_answer, text, ""),
            "start": tf.where(is_answer, from_character, -1),
            "end": tf.where(is_answer, to_character, -1),
            "score": tf.where(is_answer, score, 0.0),
        }

    return {"answer": answer}


def embedder_signatures(model, rows):
    @graph_function(TEXT)
    def embed(text):
        inputs = rows.inputs(*rows.cut(rows.ids(text)))
        return {"embedding": as_float(model(inputs, training=False))}

    return {"embed": embed}


def masked_lm_signatures(model, rows):
    tokenizer = model.tokenizer
    mask = tokenizer.id_to_token(tokenizer.mask_id)
    decode = tokenizer.decode
    tokens = [decode([i], skip_special=False) for i in range(tokenizer.vocab_size)]

    @graph_function(TEXT, tf.TensorSpec([], "int32", "top_k"))
    def fill(text, top_k):
        parts = tf.strings.split(text, mask)
        text_rows = parts.value_rowids()
        ids = rows.tokenizer.encode(parts.flat_values)
        ids = ids[0] if rows.has_offsets else ids
        # A mask follows each part but a text's last.
        is_last = tf.concat([text_rows[1:] != text_rows[:-1], [True]], axis=0)
        masks = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.math.count_nonzero(~is_last)], tokenizer.mask_id),
            tf.cast(~is_last, "int64"),
        )
        joined = tf.concat([ids, masks], axis=1)
        joined = tf.RaggedTensor.from_value_rowids(
            joined.flat_values, tf.gather(text_rows, joined.value_rowids()), tf.size(text, "int64")
        )
        has_mask = tf.reduce_all(tf.reduce_any(joined == tokenizer.mask_id, axis=1))
        joined = joined.with_flat_values(
            require(joined.flat_values, has_mask, f"Each text must have a {mask} to be filled.")
        )
        inputs = rows.inputs(rows.require_fit(joined))
        masked = inputs["token_ids"] == tokenizer.mask_id
        positions = tf.where(masked)
        by_row = tf.RaggedTensor.from_value_rowids(
            positions[:, 1], positions[:, 0], tf.size(text, "int64")
        )
        inputs["masked_positions"] = tf.cast(by_row.to_tensor(), "int32")
        logits = as_float(model(inputs, training=False))[:, :, : len(tokens)]
        best, places = tf.math.top_k(tf.nn.softmax(logits), top_k)
        is_real = tf.sequence_mask(by_row.row_lengths())[:, :, None]
        return {
            "token": tf.where(is_real, tf.gather(tf.constant(tokens), places), ""),
            "probability": tf.where(is_real, best, 0.0),
        }

    return {"fill": fill}


def pretrainer_signatures(model, rows):
    @graph_function(TEXT, SECOND)
    def next_sentence(text, second):
        inputs = rows.inputs(*rows.cut(rows.ids(text), rows.ids(second)))
        logits = as_float(model(inputs, training=False)["next_sentence"])
        return {"probability": tf.nn.softmax(logits)[:, 0]}

    return {"next_sentence": next_sentence}


SIGNATURES = {
    BertPretrainer: pretrainer_signatures,
    MaskedLM: masked_lm_signatures,
    QuestionAnswerer: answerer_signatures,
    TextClassifier: classifier_signatures,
    TextEmbedder: embedder_signatures,
    TokenClassifier: tagger_signatures,
}
