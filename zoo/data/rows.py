"""Texts and pairs of texts to rows of token ids with BERT's special tokens."""

import warnings

import numpy as np

from zoo.data.batches import Examples
from zoo.data.encoding import encoded
from zoo.data.texts import NothingToLearn, is_text, user_level, warn_dropped
from zoo.data.windows import windows
from zoo.tokenizers import SpecialTokens


def is_pair(item, counts=(2,)):
    """Whether an item is a tuple of so many texts."""
    return isinstance(item, tuple) and len(item) in counts and all(map(is_text, item))


def with_text(firsts, seconds=None):
    """Places of the rows with a token in each of their texts; warns of how many have not.

    Raises:
        ValueError: if there are none.
    """
    rows = firsts if seconds is None else [a and b for a, b in zip(firsts, seconds, strict=True)]
    kept = [place for place, row in enumerate(rows) if row]
    if not kept:
        raise NothingToLearn(
            f"There is nothing to learn from: {len(rows)} texts without a token. Check them."
        )
    warn_dropped(len(rows) - len(kept), len(rows), "texts")
    return kept


def pick(rows, places):
    """Some items of a list or an array; None of None."""
    if rows is None or len(places) == len(rows):
        return rows
    return rows[places] if isinstance(rows, np.ndarray) else [rows[place] for place in places]


def with_tokens(documents, weights=None):
    """Documents that have a token, with their weights; warns of how many have not."""
    kept = [place for place, ids in enumerate(documents) if ids]
    if not kept:
        return documents, weights
    warn_dropped(len(documents) - len(kept), len(documents), "texts")
    return pick(documents, kept), pick(weights, kept)


def checked_rows(rows, backbone):
    """Rows of token ids as arrays; refuses what is longer than the backbone's context."""
    longest = max(map(len, rows))
    if longest > backbone.max_length and not backbone.is_recurrent:
        raise ValueError(
            f"A sequence must fit into the context of {backbone.max_length} tokens; got {longest}. "
            "Shorten or split the text."
        )
    return [np.array(row, "int32") for row in rows]


class RowFormat:
    """`[CLS] text [SEP]` and `[CLS] text [SEP] text [SEP]`, with a task's own special tokens.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer`.
        backbone: an encoder such as `zoo.models.BERT`.
        special_tokens: the task's `zoo.tokenizers.SpecialTokens`, with a start and a separator;
            None for those of the tokenizer. A recurrent backbone may start from its end token, as
            in language modelling.
        add_special_tokens: bool; False for texts alone, after what the tokenizer's file puts before
            each text.

    Attributes:
        start: a list, the ids before a text.
        end: a list, those after it and between texts.
        filler: int, what a row holds that would be empty.

    Raises:
        ValueError: if there are no such tokens.
    """

    def __init__(self, tokenizer, backbone, special_tokens=None, add_special_tokens=True):
        special = special_tokens or SpecialTokens.of(tokenizer)
        self.tokenizer = tokenizer
        self.between = backbone.separators_between
        self.max_length = backbone.max_length
        self.has_segments = "segment_ids" in backbone.optional_inputs
        self.filler = special.end or 0
        if add_special_tokens:
            self.start_id, self.separator_id = self._around(backbone, special)
            self.start, self.end = [self.start_id], [self.separator_id]
        else:
            self.start = [] if tokenizer.first_id is None else [tokenizer.first_id]
            self.end = []

    def _around(self, backbone, special):
        """The ids of the start and of separators."""
        start_id, separator_id = special.start, special.between
        if start_id is None and backbone.is_recurrent:
            start_id = special.end  # after which a language model expects the start of a text
        if start_id is None or separator_id is None:
            raise ValueError(
                "An encoder's rows start and end with special tokens such as [CLS] and [SEP]; the "
                f"tokenizer has only {sorted(self.tokenizer.special_ids)}."
            )
        return start_id, separator_id

    def room(self, is_pair):
        """How many tokens of text fit into a row."""
        num_ends = len(self.end) * (1 + self.between if is_pair else 1)
        return self.max_length - len(self.start) - num_ends

    def encode(self, texts):
        """`Examples` of texts or of pairs of them; what is too long is cut, with a warning.

        Raises:
            TypeError: if something is not text.
            ValueError: if texts and pairs are mixed.
        """
        return self.lay_out(*self.tokens(texts))

    def tokens(self, texts):
        """`(firsts, seconds)`: the token ids of texts, or of both texts of pairs; else None.

        What is missing has no tokens, as the empty text.
        """
        pairs = isinstance(texts[0], tuple)
        for place, item in enumerate(texts):
            if isinstance(item, (tuple, list)) != pairs or (pairs and len(item) != 2):
                raise ValueError(
                    "Texts must all be pairs of texts, or none of them; got first "
                    f"{str(texts[0])[:40]!r}, and {str(item)[:40]!r} at position {place}."
                )
        if not pairs:
            return encoded(self.tokenizer, texts), None
        return tuple(encoded(self.tokenizer, [pair[i] for pair in texts]) for i in (0, 1))

    def lay_out(self, firsts, seconds=None):
        """`Examples` of rows of token ids; a pair that is too long loses from its longer text."""
        rows, segments, num_cut = [], [], 0
        for place, first in enumerate(firsts):
            second = None if seconds is None else seconds[place]
            num_first, num_second = self._fitting(first, second)
            num_cut += num_first < len(first) or num_second < len(second or ())
            row = [*self.start, *first[:num_first], *self.end]
            start = len(row)
            if second is not None:
                row += [*self.end * (self.between - 1), *second[:num_second], *self.end]
            row = row or [self.filler]
            rows.append(np.array(row, "int32"))
            segments.append((np.arange(len(row)) >= start).astype("int32"))
        if num_cut:
            warnings.warn(
                f"{num_cut} of {len(rows)} texts were longer than the model's {self.max_length} "
                "tokens and were cut.",
                stacklevel=user_level(),
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
