"""A byte-level BPE tokenizer as TensorFlow operations, for graphs that take and return text.

keras-nlp's BytePairTokenizer does the same with other splits: it drops the Devanagari digit six,
which it inserts as a marker of its own, ends a text at its first NUL, and splits spaces at the end
of a text. Here the ids are those of the `tokenizers` library on any valid text.
"""

import json

import numpy as np
import tensorflow as tf
import tokenizers

from zoo.exporting.checks import check_tokenizer
from zoo.tokenizers.streaming import BYTE_OF, token_bytes

LETTER, NUMBER, SPACE, OTHER, BORDER = range(5)  # BORDER stands between two texts
CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
NO_KEY = NO_RANK = np.iinfo("int64").max


class GraphTokenizer:
    """Encode and decode within a `tf.function`.

    Args:
        tokenizer: a byte-level BPE `zoo.tokenizers.Tokenizer`.

    Raises:
        ValueError: if the tokenizer is of another kind.
    """

    def __init__(self, tokenizer):
        check_tokenizer(tokenizer)
        model = json.loads(tokenizer.to_json())["model"]
        vocab, merges = model["vocab"], model["merges"]
        self.vocab_size = tokenizer.vocab_size
        self.range_starts, self.range_kinds = character_ranges()
        self.byte_ids = np.array([vocab[c] for c in sorted(BYTE_OF, key=BYTE_OF.get)], "int32")
        self.pair_keys, self.pair_ranks, self.merged_ids = merge_tables(
            vocab, merges, self.vocab_size
        )
        special = set(tokenizer.special_ids.values())
        self.spellings = [
            b"" if i in special else token_bytes(tokenizer.id_to_token(i))
            for i in range(self.vocab_size)
        ]
        self.encode = tf.function(self.encode, reduce_retracing=True)  # one trace for all

    def encode(self, texts):
        """Token ids of UTF-8 strings `(batch,)`, ragged int32 `(batch, None)`.

        Bytes that are not UTF-8 read as U+FFFD.
        """
        texts = as_utf8(texts)
        points = tf.strings.unicode_decode(texts, "UTF-8")
        borders = tf.fill([tf.size(texts), 1], -1)
        bordered = tf.concat([points, borders], axis=1)
        rows, points = bordered.value_rowids(), bordered.flat_values
        starts = self._word_starts(points)
        is_real = points >= 0
        word_of_character = tf.boolean_mask(tf.cumsum(tf.cast(starts, "int32")) - 1, is_real)

        joined = tf.io.decode_raw(tf.strings.reduce_join(texts), "uint8")
        joined = tf.cast(joined, "int32")
        is_first_byte = tf.bitwise.bitwise_and(joined, 0xC0) != 0x80
        character = tf.cumsum(tf.cast(is_first_byte, "int32")) - 1
        words = tf.gather(word_of_character, character)
        ids, words = self._merge(tf.gather(self.byte_ids, joined), words)
        rows = tf.gather(tf.boolean_mask(rows, starts), words)
        return tf.RaggedTensor.from_value_rowids(ids, rows, tf.size(texts, tf.int64))

    def decode(self, ids):
        """Text of ragged token ids `(batch, None)`, strings `(batch,)`, special tokens left out.

        Ids that do not spell valid UTF-8 give U+FFFD there.
        """
        return as_utf8(tf.strings.reduce_join(tf.gather(self.spellings, ids), axis=1))

    def _word_starts(self, points):
        """Where GPT-2's words start among code points, bool of the same shape.

        The pattern, which TensorFlow's regular expressions cannot say (they do not look ahead):
        `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`
        """
        kind = tf.gather(
            self.range_kinds, tf.searchsorted(self.range_starts, points, side="right") - 1
        )
        before, after = shift(kind, 1, BORDER), shift(kind, -1, BORDER)
        follows_blank = shift(points, 1, -1) == ord(" ")

        def is_at(distance, characters):
            point = shift(points, -distance, -1)
            return tf.reduce_any(point[:, None] == [ord(c) for c in characters], axis=1)

        # An apostrophe opens a contraction unless the symbols or the blank before it take it.
        opens = (points == ord("'")) & (before != OTHER) & ~follows_blank
        short = opens & is_at(1, "stmd")
        long = opens & (
            (is_at(1, "r") & is_at(2, "e"))
            | (is_at(1, "v") & is_at(2, "e"))
            | (is_at(1, "l") & is_at(2, "l"))
        )
        within = shift(short | long, 1, False)
        after_contraction = shift(short, 2, False) | shift(long, 3, False)
        is_last_space = (after != SPACE) & (after != BORDER)
        starts_space = (before != SPACE) | is_last_space
        starts_word = tf.where(before == SPACE, ~follows_blank, before != kind)
        starts_word = (starts_word & ~within) | after_contraction
        return tf.where(kind == SPACE, starts_space, starts_word)

    def _merge(self, ids, words):
        """Merge byte pairs until none is left that may be merged.

        Each turn merges in every word the pair of lowest rank, the leftmost of equal ones.

        Args:
            ids: int32 `(symbols,)`.
            words: int32 `(symbols,)`, ascending: the word that each symbol belongs to.

        Returns:
            Both, with fewer symbols.
        """
        num_words = tf.reduce_max(tf.concat([words, [-1]], axis=0)) + 1

        def best_pairs(ids, words):
            """Each word's best pair: its rank in the upper half, its place in the lower."""
            ranks = self._pair_ranks(ids[:-1], ids[1:])
            is_pair = (words[:-1] == words[1:]) & (ranks >= 0)
            place = tf.range(tf.size(ranks, tf.int64), dtype="int64")
            order = tf.where(is_pair, ranks * 2**32 + place, NO_RANK)
            best = tf.math.unsorted_segment_min(order, words[:-1], num_words)
            return tf.boolean_mask(best, best < NO_RANK)

        def merge(ids, words, best):
            left = tf.bitwise.bitwise_and(best, 2**32 - 1)[:, None]
            merged = tf.gather(self.merged_ids, tf.bitwise.right_shift(best, 32))
            ids = tf.tensor_scatter_nd_update(ids, left, merged)
            gone = tf.scatter_nd(left + 1, tf.ones_like(merged), tf.shape(ids, tf.int64)) > 0
            ids, words = tf.boolean_mask(ids, ~gone), tf.boolean_mask(words, ~gone)
            return ids, words, best_pairs(ids, words)

        ids, words, _ = tf.while_loop(
            lambda ids, words, best: tf.size(best) > 0,
            merge,
            (ids, words, best_pairs(ids, words)),
            shape_invariants=(tf.TensorShape([None]),) * 3,
        )
        return ids, words

    def _pair_ranks(self, left, right):
        """Ranks of pairs of ids, int64, -1 for those that are never merged."""
        keys = tf.cast(left, "int64") * self.vocab_size + tf.cast(right, "int64")
        found = tf.searchsorted(self.pair_keys, keys)
        is_there = tf.gather(self.pair_keys, found) == keys
        return tf.where(is_there, tf.gather(self.pair_ranks, found), -1)


def as_utf8(texts):
    """Strings with every ill-formed byte sequence replaced by U+FFFD."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def shift(x, by, fill):
    """`x` moved right by `by` places (left if negative), `fill` where nothing comes from."""
    fill = tf.fill([abs(by)], tf.cast(fill, x.dtype))
    if by > 0:
        return tf.concat([fill, x], axis=0)[:-by]
    return tf.concat([x, fill], axis=0)[-by:]


def character_ranges():
    """Where the kind of code points changes, and to which: two int32 arrays.

    The kinds are asked of the library itself, so its version of Unicode is the one that counts.
    """
    points = np.r_[: SURROGATES.start, SURROGATES.stop : CODE_POINTS]
    text = from_code_points(points)
    kinds = np.full(CODE_POINTS, OTHER, "int32")
    for kind, all_but in ((LETTER, r"\P{L}+"), (NUMBER, r"\P{N}+"), (SPACE, r"\S+")):
        remove = tokenizers.normalizers.Replace(tokenizers.Regex(all_but), "")
        kinds[to_code_points(remove.normalize_str(text))] = kind
    changes = np.flatnonzero(np.diff(kinds)) + 1
    starts = np.concatenate([[-1, 0], changes])
    return starts.astype("int32"), np.concatenate([[BORDER], kinds[starts[1:]]]).astype("int32")


def from_code_points(points):
    return points.astype("<u4").tobytes().decode("utf-32-le")


def to_code_points(text):
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def merge_tables(vocab, merges, vocab_size):
    """Merges as arrays: sorted keys of pairs, their ranks, and by rank the id that they become."""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    # A pair that is listed twice has its last rank, as in the library.
    ranks = {vocab[a] * vocab_size + vocab[b]: rank for rank, (a, b) in enumerate(pairs)}
    ranks[NO_KEY] = -1  # something to find for keys behind the last
    keys = np.array(sorted(ranks), "int64")
    merged_ids = np.array([vocab[a + b] for a, b in pairs], "int32")
    return keys, np.array([ranks[key] for key in keys], "int64"), merged_ids
