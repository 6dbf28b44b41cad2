"""The same text as two tokenizers see it: pieces that tokens of both cover."""

import numpy as np

from zoo.data.batches import Batches, padded_length
from zoo.data.rows import RowFormat
from zoo.tasks import MaskedLM
from zoo.tokenizers.streaming import token_bytes

MARK = "▁"  # what SentencePiece spells a space as


class Aligner:
    """Adds to batches of the student's rows what its teacher reads, and where both meet.

    The teacher reads the text that a row spells, without its masks, between special tokens of its
    own; an uncased row spells lower case. A piece of text is the least that both tokenizers end at
    the same characters, or a special token of a role that both have; pieces are numbered from 1 in
    each row. What is too long for the teacher is cut.

    Args:
        student, teacher: tasks over encoders, with tokenizers.

    Call arguments:
        inputs, labels, weights: a batch.

    Returns:
        The batch, its inputs `{"student": inputs, "units": int32, "teacher": {"token_ids",
        "padding_mask", "segment_ids", "units"}}`.
    """

    def __init__(self, student, teacher):
        ours, theirs = (
            RowFormat(task.require_tokenizer(), task.backbone, task.special_tokens)
            for task in (student, teacher)
        )
        self.spelling = Spelling(student.tokenizer)
        self.tokenizer = teacher.tokenizer
        self.max_length = teacher.backbone.max_length
        self.has_segments = theirs.has_segments and not isinstance(student, MaskedLM)
        self.has_roles = ours.start_id, ours.separator_id
        self.start_id, self.separator_id = theirs.start_id, theirs.separator_id
        self.between = theirs.between

    def __call__(self, inputs, labels=None, weights=None):
        inputs = inputs if isinstance(inputs, dict) else {"token_ids": inputs}
        token_ids = unmasked(inputs, labels, weights)
        lengths = np.full(len(token_ids), token_ids.shape[1])
        if inputs.get("padding_mask") is not None:
            lengths = np.asarray(inputs["padding_mask"], "bool").sum(axis=1)
        rows = [self.row(ids[:n]) for ids, n in zip(token_ids, lengths, strict=True)]
        longest = max([token_ids.shape[1], *(len(ids) for _, ids, _ in rows)])
        length = padded_length(min(longest, self.max_length), self.max_length)
        taught, units = {}, padded([units for units, _, _ in rows], token_ids.shape[1])
        taught["token_ids"] = padded([ids for _, ids, _ in rows], length)
        sizes = np.array([min(len(ids), length) for _, ids, _ in rows])
        taught["padding_mask"] = np.arange(length) < sizes[:, None]
        taught["units"] = padded([units for _, _, units in rows], length)
        if self.has_segments:
            is_separator = (taught["token_ids"] == self.separator_id).astype("int32")
            after = np.cumsum(is_separator, axis=1) - is_separator > 0
            taught["segment_ids"] = (after & taught["padding_mask"]).astype("int32")
        inputs = {"student": inputs, "units": units, "teacher": taught}
        return (inputs, *(one for one in (labels, weights) if one is not None))

    def row(self, ids):
        """The units of a row's tokens, the teacher's ids of its text, and their units."""
        ids = ids.tolist()
        units, taught, taught_units, number, start = [0] * len(ids), [], [], 0, 0
        special = self.spelling.special
        while start < len(ids):
            end = start
            while end < len(ids) and ids[end] not in special:
                end += 1
            if end > start:
                text, ends = self.spelling(ids[start:end])
                found, offsets = self.tokenizer.encode_with_offsets(text)
                ours, theirs, count = meetings(text, ends, [offset[1] for offset in offsets])
                units[start:end] = [number + unit if unit else 0 for unit in ours]
                taught += found
                taught_units += [number + unit if unit else 0 for unit in theirs]
                number, start = number + count, end
                continue
            if ids[start] in self.has_roles:
                number += 1
                units[start] = number
                is_start = ids[start] == self.has_roles[0]
                is_last = start == len(ids) - 1
                is_run = start > 0 and ids[start - 1] == ids[start] and not is_start
                count = 0 if is_run else 1 if is_start or is_last else self.between
                taught += [self.start_id if is_start else self.separator_id] * count
                taught_units += [number] * count
            start += 1
        return units, taught, taught_units


class AlignedBatches(Batches):
    """Batches of a student's rows with what its teacher reads.

    Args:
        batches: `zoo.data.batches.Batches`.
        align: an `Aligner`.
    """

    is_aligned = True

    def __init__(self, batches, align):
        self.batches = batches
        self.align = align
        super().__init__(batches.seed, batches.is_fixed)

    def plan(self, rng):
        return self.batches.plan(rng)

    def make(self, planned):
        return self.align(*self.batches.make(planned))


class Spelling:
    """Token ids to the text that they spell, and the end of each token in it.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer`.
    """

    def __init__(self, tokenizer):
        self.special = frozenset(tokenizer.special_ids.values())
        tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.vocab_size)]
        self._is_bytes = tokenizer.is_byte_level
        if self._is_bytes:
            self._pieces = [token_bytes(token) for token in tokens]
        elif tokenizer.kind == "WordPiece":
            self._pieces = [t[2:] if t.startswith("##") else f" {t}" for t in tokens]
        else:
            self._pieces = [token.replace(MARK, " ") for token in tokens]

    def __call__(self, ids):
        pieces = [self._pieces[i] for i in ids]
        if not self._is_bytes:
            return "".join(pieces), np.cumsum([len(piece) for piece in pieces]).tolist()
        text = b"".join(pieces)
        # A character is where its first byte is: so tokens within one end before the next begins.
        starts = (np.frombuffer(text, "uint8") & 0xC0) != 0x80
        counts = np.concatenate([[0], np.cumsum(starts)])
        ends = counts[np.cumsum([len(piece) for piece in pieces])].tolist()
        return text.decode("utf-8", errors="replace"), ends


def meetings(text, ends, other_ends):
    """The units of tokens of two kinds in a text, and how many there are.

    Spaces count for nothing, as some tokens hold them and some do not.

    Args:
        text: str.
        ends, other_ends: where the tokens of each kind end, ascending.

    Returns:
        Two lists, a number from 1 for each token, 0 for those behind the last meeting; and how many
        meetings there are.
    """
    letters = np.concatenate([[0], np.cumsum([not character.isspace() for character in text])])
    ends, other_ends = (
        letters[np.minimum(np.array(one, "int64"), len(text))] for one in (ends, other_ends)
    )
    common = np.intersect1d(ends, other_ends)
    found = []
    for one in (ends, other_ends):
        units = np.searchsorted(common, one) + 1
        found.append(np.where(units > len(common), 0, units).tolist())
    return *found, len(common)


def unmasked(inputs, labels, weights):
    """The token ids of a batch, with what stood where the masks are."""
    token_ids = np.array(inputs["token_ids"])
    positions = inputs.get("masked_positions")
    if positions is None or labels is None:
        return token_ids
    labels, weights = (
        one["masked_lm"] if isinstance(one, dict) else one for one in (labels, weights)
    )
    row, slot = np.nonzero(np.asarray(weights) if weights is not None else np.ones_like(labels))
    token_ids[row, np.asarray(positions)[row, slot]] = np.asarray(labels)[row, slot]
    return token_ids


def padded(rows, length):
    """int32 `(rows, length)`, with zeros behind each row; what is longer is cut."""
    array = np.zeros((len(rows), length), "int32")
    for place, row in enumerate(rows):
        array[place, : len(row)] = row[:length]
    return array
