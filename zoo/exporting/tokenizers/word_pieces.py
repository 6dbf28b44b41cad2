"""A WordPiece tokenizer as TensorFlow operations, for graphs that take text.

Ids and offsets are those of the `tokenizers` library on any valid text.
"""

import json

import numpy as np
import tensorflow as tf

from zoo.exporting.checks import check_word_piece
from zoo.exporting.tokenizers.byte_pairs import CODE_POINTS, NO_KEY, shift, to_code_points
from zoo.exporting.tokenizers.normalizer import GraphNormalizer

# The two roots of the tree of pieces: a word's first piece starts at the one, others at the other.
BEGINS, CONTINUES = range(2)
NUM_ROOTS = 2


class GraphWordPiece:
    """Encode with offsets within a `tf.function`.

    Words become the longest pieces first, Wu et al., 2016, https://arxiv.org/abs/1609.08144.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer`: WordPiece with BERT's normaliser and pre-tokeniser.

    Raises:
        ValueError: if the tokenizer is of another kind; see `check_word_piece`.
    """

    def __init__(self, tokenizer):
        check_word_piece(tokenizer)
        contents = json.loads(tokenizer.to_json())
        model, normalizer = contents["model"], contents["normalizer"]
        self.normalizer = GraphNormalizer(
            normalizer["clean_text"],
            normalizer["handle_chinese_chars"],
            normalizer.get("strip_accents"),
            normalizer["lowercase"],
        )
        self.longest_word = min(model["max_input_chars_per_word"], NO_KEY)  # must fit into int64
        self.unknown_id = model["vocab"][model["unk_token"]]
        self.edges, self.piece_ids, self.piece_lengths = piece_tree(
            model["vocab"], model["continuing_subword_prefix"], self.longest_word
        )
        self.encode = tf.function(self.encode, reduce_retracing=True)  # one trace for all

    def encode(self, texts):
        """Tokens of UTF-8 strings `(batch,)`; no start, end or padding ids are added.

        Bytes that are not UTF-8 read as U+FFFD.

        Returns:
            `(ids, starts, ends)`, each ragged int32 `(batch, None)`: the token ids, and the
            characters (code points) of the text that each stands for, the end not included.
        """
        points, places, words, rows = self.normalizer.words(texts)
        ids, first, last = self._pieces(points, words)
        rows = tf.gather(rows, first)
        starts = tf.cast(tf.gather(places, first), "int32")
        ends = tf.cast(tf.gather(places, last), "int32") + 1
        num_rows = tf.size(texts, tf.int64)
        return tuple(
            tf.RaggedTensor.from_value_rowids(x, rows, num_rows) for x in (ids, starts, ends)
        )

    def _pieces(self, points, words):
        """Pieces of words.

        Args:
            points: int32 `(characters,)`.
            words: int64 `(characters,)`, ascending: the word that each character belongs to.

        Returns:
            For each piece its id, int32, and the first and last of its characters, int64.
        """
        size = tf.size(points, tf.int64)
        is_word_start = words != shift(words, 1, -1)
        word_starts = tf.where(is_word_start)[:, 0]
        word_ends = shift(word_starts, -1, size)
        ends = tf.gather(word_ends, words)

        is_short = tf.gather(word_ends - word_starts <= self.longest_word, words)
        roots = tf.where(is_word_start, tf.constant(BEGINS, "int64"), CONTINUES)
        found = self._longest_pieces(points, ends, roots, is_short)
        lengths = tf.gather(self.piece_lengths, found)
        is_start = piece_starts(word_starts, ends, lengths)

        # A word with a place where no piece fits is unknown as a whole.
        is_stuck = is_start & (lengths == 0)
        stuck = tf.boolean_mask(words, is_stuck)[:, None]
        is_unknown = tf.scatter_nd(stuck, tf.ones_like(stuck[:, 0]), tf.shape(word_ends, tf.int64))
        is_unknown = tf.gather(is_unknown > 0, words)
        first = tf.where(tf.where(is_unknown, is_word_start, is_start))[:, 0]
        is_unknown = tf.gather(is_unknown, first)
        ids = tf.where(
            is_unknown, self.unknown_id, tf.gather(self.piece_ids, tf.gather(found, first))
        )
        end = tf.where(is_unknown, tf.gather(ends, first), first + tf.gather(lengths, first))
        return ids, first, end - 1

    def _longest_pieces(self, points, ends, roots, is_wanted):
        """Walk down the tree from all wanted characters at once, one level per turn.

        Args:
            points: int32 `(characters,)`.
            ends: int64 `(characters,)`: where the word of each ends.
            roots: int64 `(characters,)`: the node from which each starts.
            is_wanted: bool `(characters,)`.

        Returns:
            The node of the longest piece that starts at each character, or 0, int64.
        """
        edges, piece_ids = tf.constant(self.edges), tf.constant(self.piece_ids)

        def step(start, at, node, found):
            key = node * CODE_POINTS + tf.cast(tf.gather(points, at), "int64")
            edge = tf.searchsorted(edges, key, out_type=tf.int64)
            goes_on = tf.gather(edges, edge) == key
            start, at = tf.boolean_mask(start, goes_on), tf.boolean_mask(at, goes_on) + 1
            node = tf.boolean_mask(edge, goes_on) + NUM_ROOTS
            is_piece = tf.gather(piece_ids, node) >= 0
            pieces = tf.boolean_mask(start, is_piece)[:, None], tf.boolean_mask(node, is_piece)
            found = tf.tensor_scatter_nd_update(found, *pieces)
            is_within = at < tf.gather(ends, start)
            return *(tf.boolean_mask(x, is_within) for x in (start, at, node)), found

        start = tf.where(is_wanted)[:, 0]
        *_, found = tf.while_loop(
            lambda start, at, node, found: tf.size(start) > 0,
            step,
            (start, start, tf.gather(roots, start), tf.zeros_like(roots)),
            shape_invariants=(tf.TensorShape([None]),) * 4,
        )
        return found


def piece_starts(word_starts, ends, lengths):
    """Where pieces start if each is followed by the one behind it, bool `(characters,)`.

    Args:
        word_starts: int64 `(words,)`, where the first ones start.
        ends: int64 `(characters,)`: where the word of each character ends.
        lengths: int64 `(characters,)`, of the piece at each character; 0 where there is none.
    """

    def step(at, is_start):
        is_start = tf.tensor_scatter_nd_update(is_start, at[:, None], tf.ones_like(at, "bool"))
        length = tf.gather(lengths, at)
        goes_on = (length > 0) & (at + length < tf.gather(ends, at))
        return tf.boolean_mask(at + length, goes_on), is_start

    _, is_start = tf.while_loop(
        lambda at, is_start: tf.size(at) > 0,
        step,
        (word_starts, tf.zeros_like(ends, "bool")),
        shape_invariants=(tf.TensorShape([None]),) * 2,
    )
    return is_start


def piece_tree(vocab, prefix, longest):
    """A vocabulary as a tree that is walked one character at a time.

    Args:
        vocab: `{token: id}`.
        prefix: of the tokens that continue a word.
        longest: how long a piece can be at most, in characters.

    Returns:
        edges: int64, ascending: `node * CODE_POINTS + code point` for each way down. The i-th edge
            leads to node `i + NUM_ROOTS`.
        ids: int32 `(nodes,)`: of the piece that ends at a node, or -1.
        lengths: int64 `(nodes,)`: of that piece, or 0.
    """
    pieces = [(BEGINS, token, i) for token, i in vocab.items()]
    pieces += [
        (CONTINUES, token.removeprefix(prefix), i)
        for token, i in vocab.items()
        if token.startswith(prefix)
    ]
    pieces = [piece for piece in pieces if 0 < len(piece[1]) <= longest]
    roots, texts, piece_ids = zip(*pieces, strict=True) if pieces else ((), (), ())
    nodes, sizes = np.array(roots, "int64"), np.array([len(text) for text in texts], "int64")
    points = to_code_points("".join(texts)).astype("int64")
    starts = np.cumsum(sizes) - sizes

    levels, num_nodes = [], NUM_ROOTS
    for depth in range(sizes.max(initial=0)):
        is_longer = sizes > depth
        keys = nodes[is_longer] * CODE_POINTS + points[starts[is_longer] + depth]
        level, numbers = np.unique(keys, return_inverse=True)
        nodes[is_longer] = num_nodes + numbers
        levels.append(level)
        num_nodes += len(level)
    edges = np.concatenate([*levels, [NO_KEY]])  # something to find for keys behind the last

    ids, lengths = np.full(num_nodes, -1, "int32"), np.zeros(num_nodes, "int64")
    ids[nodes], lengths[nodes] = piece_ids, sizes
    return edges, ids, lengths
