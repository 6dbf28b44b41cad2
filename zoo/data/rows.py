"""Texts and pairs of texts to rows of token ids with BERT's special tokens."""

import warnings

import numpy as np

from zoo.data.batches import Examples
from zoo.data.spans import windows


def is_pairs(x):
    """Whether `x` is a list of pairs of strings."""
    return (
        isinstance(x, (list, tuple))
        and len(x) > 0
        and isinstance(x[0], (list, tuple))
        and len(x[0]) == 2
        and all(isinstance(text, str) for text in x[0])
    )


class RowFormat:
    """`[CLS] text [SEP]` and `[CLS] text [SEP] text [SEP]`, with a task's own special tokens.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer` with a start and an end token; for a recurrent
            backbone an end token is enough, as in language modelling.
        backbone: an encoder such as `zoo.models.BERT`.

    Raises:
        ValueError: if the tokenizer has no such tokens.
    """

    def __init__(self, tokenizer, backbone):
        start_id = tokenizer.start_id
        if start_id is None and backbone.is_recurrent:
            start_id = tokenizer.end_id  # after which a language model expects the start of a text
        if start_id is None or tokenizer.end_id is None:
            raise ValueError(
                "An encoder's rows start and end with special tokens such as [CLS] and [SEP]; the "
                f"tokenizer has only {sorted(tokenizer.special_ids)}."
            )
        self.tokenizer = tokenizer
        self.start_id = start_id
        self.separator_id = tokenizer.end_id
        self.between = backbone.separators_between
        self.max_length = backbone.max_length
        self.has_segments = "segment_ids" in backbone.optional_inputs

    def room(self, is_pair):
        """How many tokens of text fit into a row."""
        return self.max_length - (2 + self.between if is_pair else 2)

    def encode(self, texts):
        """`Examples` of strings or of pairs of strings; what is too long is cut, with a warning.

        Raises:
            TypeError: if something is not text.
            ValueError: if a text has no tokens.
        """
        if is_pairs(texts):
            firsts = self._tokens([pair[0] for pair in texts])
            seconds = self._tokens([pair[1] for pair in texts])
        else:
            firsts, seconds = self._tokens(list(texts)), None
        return self.lay_out(firsts, seconds)

    def _tokens(self, texts):
        rows = self.tokenizer.encode(texts)
        for place, (text, row) in enumerate(zip(texts, rows, strict=True)):
            if not row:
                raise ValueError(
                    f"Each text must have a token at least; the one at position {place} has none: "
                    f"{text[:40]!r}. Leave it out."
                )
        return rows

    def lay_out(self, firsts, seconds=None):
        """`Examples` of rows of token ids; a pair that is too long loses from its longer text."""
        rows, segments, num_cut = [], [], 0
        for place, first in enumerate(firsts):
            second = None if seconds is None else seconds[place]
            num_first, num_second = self._fitting(first, second)
            num_cut += num_first < len(first) or num_second < len(second or ())
            row = [self.start_id, *first[:num_first], self.separator_id]
            start = len(row)
            if second is not None:
                row += [self.separator_id] * (self.between - 1)
                row += [*second[:num_second], self.separator_id]
            rows.append(np.array(row, "int32"))
            segments.append((np.arange(len(row)) >= start).astype("int32"))
        if num_cut:
            warnings.warn(
                f"{num_cut} of {len(rows)} texts were longer than the model's {self.max_length} "
                "tokens and were cut.",
                stacklevel=4,
            )
        inputs = {"token_ids": rows}
        if self.has_segments:
            inputs["segment_ids"] = segments
        return Examples(inputs)

    def windows(self, rows, stride=None, before=()):
        """`Examples` of rows of any length, a long one in overlapping windows.

        Args:
            rows: lists of token ids.
            stride: int, from one window's start to the next's; None for half a window.
            before: a list of token ids for each row that stands before each of its windows, as the
                first text of a pair; or nothing.

        Returns:
            The `Examples`, a list with the `(start, end)` of each row's windows, and a list with
            the place of the first windowed token in each row of the `Examples`.
        """
        firsts, seconds, spans, places = [], [], [], []
        for number, row in enumerate(rows):
            question = before[number] if before else None
            room = self.room(question is not None) - len(question or ())
            spans.append(windows(len(row), room, min(stride or max(room // 2, 1), room)))
            for start, end in spans[-1]:
                part = row[start:end]
                firsts.append(part if question is None else question)
                seconds.append(part)
                places.append(1 if question is None else len(question) + 1 + self.between)
        return self.lay_out(firsts, seconds if before else None), spans, places

    def _fitting(self, first, second):
        if second is None:
            return min(len(first), self.room(False)), 0
        room = self.room(True)
        num_second = min(len(second), max(room - len(first), room // 2))
        return min(len(first), room - num_second), num_second
