"""Rows of texts and pairs of texts in a TensorFlow graph: what `zoo.data.rows` does."""

import tensorflow as tf

from zoo.data.rows import RowFormat
from zoo.exporting.graph_functions import as_padded, part_of_each, require
from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer, as_utf8
from zoo.exporting.tokenizers.word_pieces import GraphWordPiece


class GraphRows:
    """`[CLS] text [SEP]` and `[CLS] text [SEP] text [SEP]` from strings.

    Args:
        model: a task with a tokenizer.

    Raises:
        ValueError: if no graph can do what its tokenizer does.
    """

    def __init__(self, model):
        tokenizer, backbone = model.tokenizer, model.backbone
        form = getattr(model, "row_format", None)
        self.form = form or RowFormat(tokenizer, backbone, model.special_tokens)
        self.has_offsets = model.tokenizer.kind == "WordPiece"
        self.tokenizer = (GraphWordPiece if self.has_offsets else GraphTokenizer)(model.tokenizer)

    def ids(self, texts):
        """Token ids of strings `(batch,)`, ragged int32 `(batch, None)`."""
        ids = self.tokenizer.encode(as_utf8(texts))
        return ids[0] if self.has_offsets else ids

    def ids_and_offsets(self, texts):
        """The same, with the characters where each token starts and ends."""
        return self.tokenizer.encode(as_utf8(texts))

    def cut(self, first, second=None):
        """Rows of ids that fit; a pair that is too long loses from its longer text."""
        if second is None:
            return first[:, : self.form.room(False)], None
        room = self.form.room(True)
        num_first, num_second = first.row_lengths(), second.row_lengths()
        num_second = tf.minimum(num_second, tf.maximum(room - num_first, room // 2))
        num_first = tf.minimum(num_first, room - num_second)
        from_start = tf.zeros_like(num_first)
        first = part_of_each(first, from_start, num_first)
        return first, part_of_each(second, from_start, num_second)

    def inputs(self, first, second=None):
        """A model's inputs from ragged rows of ids that fit."""
        batch = first.nrows()
        start, end = (
            [tf.fill([batch, 1], i) for i in ids] for ids in (self.form.start, self.form.end)
        )
        parts = [*start, first, *end]
        if second is not None:
            parts += [*end * (self.form.between - 1), second, *end]
        rows = tf.concat(parts, axis=1)
        if not start and not end:
            is_empty = tf.cast(rows.row_lengths() == 0, "int64")
            fillers = tf.fill([tf.reduce_sum(is_empty)], self.form.filler)
            rows = tf.concat([rows, tf.RaggedTensor.from_row_lengths(fillers, is_empty)], axis=1)
        token_ids, lengths = as_padded(rows)
        mask = tf.sequence_mask(lengths, tf.shape(token_ids)[1])
        inputs = {"token_ids": token_ids, "padding_mask": mask}
        if self.form.has_segments:
            places = tf.range(tf.shape(token_ids, "int64")[1])[None]
            of_second = (places >= first.row_lengths()[:, None] + 2) & mask
            segments = of_second if second is not None else tf.zeros_like(of_second)
            inputs["segment_ids"] = tf.cast(segments, "int32")
        return inputs

    def require_fit(self, first, second=None):
        """`first`, which nothing reads before every row is found to fit into the context."""
        room = self.form.room(second is not None)
        lengths = first.row_lengths() + (0 if second is None else second.row_lengths())
        longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))
        checked = require(
            first.flat_values,
            longest <= room,
            f"The tokens of a text must fit into the {room} that the context of "
            f"{self.form.max_length} leaves; got",
            longest,
        )
        return first.with_flat_values(checked)


def non_empty(rows):
    checked = require(
        rows.flat_values,
        tf.reduce_all(rows.row_lengths() > 0),
        "Each text must have a token at least; got one without.",
    )
    return rows.with_flat_values(checked)
