"""BERT's normaliser and pre-tokeniser as TensorFlow operations: from text to its words.

The `tokenizers` library is asked once, for every code point, what it makes of it; a graph looks
that up in a table of ranges. One thing depends on neighbours: to strip accents the library
decomposes text canonically, which sorts the marks of a letter by their combining classes. Marks
that are no accents stay, in that order, and the graph sorts as well.
"""

import functools
import unicodedata

import numpy as np
import tensorflow as tf
from tokenizers import PreTokenizedString, normalizers, pre_tokenizers

from zoo.exporting.tokenizers.byte_pairs import (
    CODE_POINTS,
    SURROGATES,
    as_utf8,
    from_code_points,
    shift,
    to_code_points,
)

# What a normalised character does to words: continue one, be one, part two, or go after sorting.
JOINS, ALONE, SPACE, DROPPED = range(4)
SEPARATOR = ord("5")  # among digits that the library leaves alone, so that their range covers it
LAST_CLASS_MARK = 0x0345  # of the highest combining class, 240, and the only one of that class


class GraphNormalizer:
    """Split text into normalised words within a `tf.function`.

    Args:
        clean_text, handle_chinese_chars, strip_accents, lowercase: bools, as of
            `tokenizers.normalizers.BertNormalizer`; `strip_accents` None means as `lowercase`.
    """

    def __init__(self, clean_text, handle_chinese_chars, strip_accents, lowercase):
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.range_starts, self.row_splits, self.replacements = replacement_table(
            clean_text, handle_chinese_chars, self.strip_accents, lowercase
        )

    def words(self, texts):
        """Normalised characters of the words of UTF-8 strings `(batch,)`.

        Bytes that are not UTF-8 read as U+FFFD.

        Returns:
            Four vectors with one item per character: its code point, int32; the place in its text
            of the character that it stems from, int64; the number of its word, int64, ascending
            from 0; and the number of its text, int64.
        """
        characters = tf.strings.unicode_decode(as_utf8(texts), "UTF-8")
        rows = characters.value_rowids()
        points, kinds, sources = self._normalize(characters.flat_values, rows)
        places = sources - tf.gather(characters.row_starts(), tf.gather(rows, sources))
        rows = tf.gather(rows, sources)

        is_apart = kinds != JOINS
        starts = is_apart | shift(is_apart, 1, True) | (rows != shift(rows, 1, -1))
        is_visible = kinds != SPACE
        words = tf.cumsum(tf.cast(starts & is_visible, "int64")) - 1
        return tuple(tf.boolean_mask(x, is_visible) for x in (points, places, words, rows))

    def _normalize(self, points, rows):
        """Replace code points `(characters,)` of texts that have the numbers `rows`.

        Returns:
            Code points, their kinds, and the numbers of the characters that they stem from.
        """
        ranges = tf.searchsorted(self.range_starts, points, side="right") - 1
        table = tf.RaggedTensor.from_row_splits(self.replacements, self.row_splits, validate=False)
        replaced = tf.gather(table, ranges)
        sources = replaced.value_rowids()
        shifts, kinds, classes = tf.unstack(replaced.flat_values, 3, axis=1)
        points = tf.gather(points, sources) + shifts
        if self.strip_accents:
            order = canonical_order(classes, tf.gather(rows, sources))
            points, kinds = tf.gather(points, order), tf.gather(kinds, order)
            # Offsets stay in place: the library counts characters, not which of them moved.
            is_first = sources != shift(sources, 1, -1)
            count = tf.cumsum(tf.cast(tf.gather(is_first, order), "int64"))
            sources = tf.gather(tf.boolean_mask(sources, is_first), count - 1)
        is_kept = kinds != DROPPED
        return tuple(tf.boolean_mask(x, is_kept) for x in (points, kinds, sources))


def canonical_order(classes, rows):
    """The permutation that sorts each run of marks (class above 0) within a text, stably."""
    is_mark = classes > 0
    ends_run = ~is_mark | (rows != shift(rows, 1, -1))
    runs = tf.cumsum(tf.cast(ends_run, "int64"))
    marks = tf.where(is_mark)
    keys = runs * 256 + tf.cast(classes, "int64")
    by_class = tf.argsort(tf.gather_nd(keys, marks), stable=True)
    order = tf.range(tf.size(classes, tf.int64), dtype="int64")
    return tf.tensor_scatter_nd_update(order, marks, tf.gather(marks[:, 0], by_class))


@functools.lru_cache(maxsize=4)  # it takes a second or two
def replacement_table(clean_text, handle_chinese_chars, strip_accents, lowercase):
    """What becomes of each code point, in ranges that share it.

    Returns:
        The first code point of each range, int32 `(ranges,)`; where its rows start, int64
        `(ranges + 1,)`; and the rows, int32 `(rows, 3)`, one per character that takes a code
        point's place: what to add to the code point, the kind, and the class to sort by.
    """
    every_point = np.r_[: SURROGATES.start, SURROGATES.stop : CODE_POINTS]
    every_point = every_point[every_point != SEPARATOR]
    clean = normalizers.BertNormalizer(clean_text, handle_chinese_chars, False, False)
    stems, points = ask(clean, every_point)
    # Blanks around a Chinese character mean that it is a word, which is what its kind will say.
    is_chinese = np.bincount(stems, minlength=len(every_point)) == 3
    is_own = ~is_chinese[stems] | (points != ord(" "))
    stems, points = stems[is_own], points[is_own]

    classes, is_dropped = np.zeros_like(points), np.zeros(len(points), bool)
    if strip_accents:
        parts, points = ask(normalizers.NFD(), points)
        stems, classes = stems[parts], combining_classes(points)
        strip = normalizers.BertNormalizer(False, False, True, False)
        is_dropped = ~np.isin(np.arange(len(points)), ask(strip, points)[0])
    if lowercase:
        parts, points = ask(normalizers.Lowercase(), points)
        stems, classes, is_dropped = stems[parts], classes[parts], is_dropped[parts]

    kinds = kinds_of(points)
    kinds[is_chinese[stems]] = ALONE
    kinds[is_dropped] = DROPPED
    is_seen = (kinds == JOINS) | (kinds == ALONE)
    rows = np.stack([np.where(is_seen, points - every_point[stems], 0), kinds, classes], axis=1)
    return in_ranges(every_point, stems, rows)


def in_ranges(points, stems, rows):
    """Keep of neighbouring code points with the same rows the first.

    Args:
        points: ascending code points.
        stems: for each row the index of its code point, ascending.
        rows: `(rows, columns)`.

    Returns:
        Starts of ranges, row splits and rows, as of `replacement_table`.
    """
    counts = np.bincount(stems, minlength=len(points))
    row_before = np.arange(len(rows)) - counts[stems]  # the same row of the code point before
    differs = (rows != rows[row_before]).any(axis=1)
    is_start = np.r_[True, counts[1:] != counts[:-1]]
    is_start[stems[differs]] = True
    row_splits = np.r_[0, np.cumsum(counts[is_start])]
    rows = rows[is_start[stems]].astype("int32")
    return points[is_start].astype("int32"), row_splits, rows


def ask(normalizer, points):
    """What a normaliser of the library makes of each code point on its own.

    Returns:
        Two int64 arrays: indices into `points`, ascending, and the code points that came of them.
    """
    text = np.stack([points, np.full_like(points, SEPARATOR)], axis=1)
    answer = to_code_points(normalizer.normalize_str(from_code_points(text.ravel())))
    is_separator = answer == SEPARATOR
    index = np.cumsum(is_separator)
    return index[~is_separator], answer[~is_separator].astype("int64")


def combining_classes(points):
    """The canonical combining classes by which the library sorts decomposed code points.

    They never change from one version of Unicode to the next, but the library has no class for
    the newest marks. Those do not change places with a mark of the last class, as all others do.
    """
    classes = np.array(list(map(unicodedata.combining, from_code_points(points))))
    is_mark = classes > 0
    marks = points[is_mark]
    last, separator = (np.full_like(marks, point) for point in (LAST_CLASS_MARK, SEPARATOR))
    text = from_code_points(np.stack([last, marks, separator], axis=1).ravel())
    answer = to_code_points(normalizers.NFD().normalize_str(text)).reshape(-1, 3)
    classes[is_mark] *= answer[:, 0] == marks
    return classes


def kinds_of(points):
    """What BERT's pre-tokeniser does with each code point: `JOINS`, `ALONE` or `SPACE`."""
    distinct = np.flatnonzero(np.bincount(points))
    text = np.stack([distinct, np.full_like(distinct, SEPARATOR)], axis=1)
    splits = PreTokenizedString(from_code_points(text.ravel()))
    pre_tokenizers.BertPreTokenizer().pre_tokenize(splits)
    pieces = [piece for piece, *_ in splits.get_splits(offset_type="byte")]
    kinds = np.full(CODE_POINTS, SPACE)  # unless it is in a piece
    kinds[to_code_points("".join(pieces))] = JOINS
    alone = "".join(piece for piece in pieces if len(piece) == 1)
    kinds[to_code_points(alone)] = ALONE
    kinds[SEPARATOR] = JOINS
    return kinds[points]
