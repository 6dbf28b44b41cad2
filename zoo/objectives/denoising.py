"""Denoising: a corrupted text goes in, what was lost of it comes out. For encoder-decoders."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from zoo.objectives.base import Objective, as_ids, check_generator, several
from zoo.ranges import POSITIVE, TOKEN_ID, Ids, Number

SHARE = Number(0, 1, is_open=True)


class SpanCorruption(Objective):
    """Drop spans of tokens, put a sentinel in the place of each, and ask for what was dropped.

    Raffel et al., 2020, section 3.1.4, https://arxiv.org/abs/1910.10683: "a b c d e f" becomes
    "a <X> d e <Y>", and the target is "<X> b c <Y> f <Z>": each sentinel followed by what it stands
    for, and one more sentinel for the end. Each call draws anew.

    Of `n` tokens that may be dropped `round(rate * n)` are, at least 1 if there is one, in
    `round(that / mean_span)` spans, at least 1. Every way to cut the dropped tokens into so many
    spans is equally likely, and so is every way to place them with a token between each two: the
    first and the last few tokens of a row are dropped less often than the others. A span that
    meets a special token goes on behind it, under another sentinel.

    Args:
        sentinel_ids: sequence of different ints, the ids that stand for spans: a row's first span
            gets the first of them. They may occur nowhere in the rows, so a tokenizer keeps them
            for this: T5's are `range(32099, 31999, -1)`.
        special_ids: sequence of int, the ids that are never dropped.
        rate: float, the share of tokens to drop, above 0 and below 1.
        mean_span: float, the mean length of a span, at least 1.

    Call arguments:
        rows: an iterable of sequences of token ids, without padding.
        rng: `np.random.Generator`.

    Returns:
        `(sources, targets)`: two lists with an int32 array for each row, of different lengths.
        A row of special tokens alone is its own source; its target is the first sentinel.

    Raises:
        ValueError: if an argument is out of its range, a row holds a sentinel or no token, or has
            more spans than there are sentinels left for.
    """

    arguments = Objective.arguments | {
        "sentinel_ids": Ids(2),
        "special_ids": Ids(),
        "rate": SHARE,
        "mean_span": Number(1, 2**31),
    }

    def __init__(
        self,
        sentinel_ids: Sequence[int],
        special_ids: Sequence[int] = (),
        rate: float = 0.15,
        mean_span: float = 3.0,
    ) -> None:
        self.sentinel_ids = np.array(list(sentinel_ids), "int32")
        if len(set(self.sentinel_ids.tolist())) < max(2, len(self.sentinel_ids)):
            raise ValueError(
                "sentinel_ids must be at least two different ids, for a span and for the target's "
                f"end; got {self.sentinel_ids.tolist()}."
            )
        self.special_ids = np.array(list(special_ids), "int32")
        self.rate = rate
        self.mean_span = mean_span

    def __call__(self, rows: Sequence, rng: np.random.Generator) -> tuple:
        check_generator(rng)
        pairs = [self._corrupt(row, rng) for row in checked_rows(rows)]
        return [source for source, _ in pairs], [target for _, target in pairs]

    def _corrupt(self, row, rng):
        if np.isin(row, self.sentinel_ids).any():
            found = row[np.isin(row, self.sentinel_ids)][0]
            raise ValueError(
                "Sentinels stand for what was dropped, so the rows must hold none of them; got "
                f"{found}. Choose ids that no text has."
            )
        droppable = np.flatnonzero(~np.isin(row, self.special_ids))
        starts, lengths = place(self._lengths(len(droppable), rng), len(droppable), 1, rng)
        dropped, first = mark(len(row), droppable, starts, lengths)
        sentinels = self._sentinels(first.sum())
        source = row.copy()
        source[first] = sentinels[:-1]
        targets = np.insert(row[dropped], np.flatnonzero(first[dropped]), sentinels[:-1])
        return source[first | ~dropped], np.append(targets, sentinels[-1])

    def _lengths(self, num_tokens, rng):
        num_dropped = share(self.rate, num_tokens)
        num_spans = max(1, round(num_dropped / self.mean_span))
        num_spans = min(num_spans, num_dropped, num_tokens - num_dropped + 1)
        return random_parts(num_dropped, num_spans, 1, rng)

    def _sentinels(self, num_spans):
        if num_spans >= len(self.sentinel_ids):
            raise ValueError(
                f"A row of {num_spans} spans needs {num_spans + 1} sentinels, the last for its "
                f"target's end; got {len(self.sentinel_ids)}. Cut the rows shorter, or give more "
                "sentinel_ids."
            )
        return self.sentinel_ids[: num_spans + 1]


class TextInfilling(Objective):
    """Replace spans of tokens, some of them empty, by one mask each, and ask for the whole text.

    Lewis et al., 2020, section 2.2, https://arxiv.org/abs/1910.13461. The lengths of the spans are
    Poisson-distributed. An empty span only puts a mask in, so that how many tokens a mask stands
    for, none included, is left to the model. Each call draws anew.

    Of `n` tokens that may be hidden `round(rate * n)` are, at least 1 if there is one: lengths are
    drawn until they are enough, and the last is cut to fit. All places are equally likely. A span
    that meets a special token goes on behind it, under another mask.

    Args:
        mask_id: int, the id that stands for a span. It counts as special.
        special_ids: sequence of int, the ids that are never hidden.
        rate: float, the share of tokens to hide, above 0 and below 1.
        mean_span: float, the mean length of a span, above 0.

    Call arguments:
        rows: an iterable of sequences of token ids, without padding.
        rng: `np.random.Generator`.

    Returns:
        `(sources, targets)`: two lists with an int32 array for each row; the targets are the rows.

    Raises:
        ValueError: if an argument is out of its range, or a row holds no token.
    """

    arguments = Objective.arguments | {
        "mask_id": TOKEN_ID,
        "special_ids": Ids(),
        "rate": SHARE,
        "mean_span": POSITIVE,
    }

    def __init__(
        self,
        mask_id: int,
        special_ids: Sequence[int] = (),
        rate: float = 0.3,
        mean_span: float = 3.0,
    ) -> None:
        self.mask_id = mask_id
        self.special_ids = np.array([mask_id, *special_ids], "int32")
        self.rate = rate
        self.mean_span = mean_span

    def __call__(self, rows: Sequence, rng: np.random.Generator) -> tuple:
        check_generator(rng)
        rows = checked_rows(rows)
        return [self._corrupt(row, rng) for row in rows], rows

    def _corrupt(self, row, rng):
        hideable = np.flatnonzero(~np.isin(row, self.special_ids))
        starts, lengths = place(self._lengths(len(hideable), rng), len(hideable), 0, rng)
        hidden, first = mark(len(row), hideable, starts, lengths)
        source = np.where(first, self.mask_id, row)
        # An empty span stands before the token it starts at, or behind the last one.
        behind = np.append(hideable, hideable[-1:] + 1)[starts[lengths == 0]]
        kept = first | ~hidden
        before = np.append(0, np.cumsum(kept))[behind]
        return np.insert(source[kept], before, self.mask_id).astype("int32")

    def _lengths(self, num_tokens, rng):
        num_hidden = share(self.rate, num_tokens)
        if not num_hidden:
            return np.zeros(0, "int64")
        lengths = np.zeros(0, "int64")
        while lengths.sum() < num_hidden:
            more = rng.poisson(self.mean_span, size=math.ceil(num_hidden / self.mean_span))
            lengths = np.append(lengths, more)
        ends = np.cumsum(lengths)
        last = np.searchsorted(ends, num_hidden)
        lengths[last] -= ends[last] - num_hidden
        return rng.permutation(lengths[: last + 1])  # else the one that was cut were always last


class SentencePermutation:
    """Shuffle the sentences of a document, and ask for the document.

    Lewis et al., 2020, section 2.2, https://arxiv.org/abs/1910.13461. All orders are equally
    likely. Each call draws anew. BART itself has both: this, then `TextInfilling` of the sources.

        sources, targets = SentencePermutation()(documents, rng)
        sources, _ = TextInfilling(mask_id)(sources, rng)

    Call arguments:
        documents: an iterable of documents, each a sequence of sentences, each a sequence of token
            ids, without the special tokens that a task puts around a text.
        rng: `np.random.Generator`.

    Returns:
        `(sources, targets)`: two lists with an int32 array for each document: its sentences, one
        behind the other, shuffled and as they were.

    Raises:
        ValueError: if a document holds no token, or is no sequence of sentences.
    """

    def __call__(self, documents: Iterable, rng: np.random.Generator) -> tuple:
        check_generator(rng)
        sources, targets = [], []
        for number, document in enumerate(several(documents)):
            sentences = as_ids(document, f"sentence of document {number}")
            sentences = [ids for ids in sentences if len(ids)]
            if not sentences:
                raise ValueError(
                    f"Each document must have a token in it; number {number} has none. Leave it "
                    "out."
                )
            order = rng.permutation(len(sentences))
            sources.append(np.concatenate([sentences[i] for i in order]))
            targets.append(np.concatenate(sentences))
        return sources, targets


def checked_rows(rows):
    """The rows as int32 arrays, if each is a sequence of at least one token id."""
    checked = as_ids(rows, "row")
    for number, ids in enumerate(checked):
        if not len(ids):
            raise ValueError(f"Each row must have a token in it; number {number} has none.")
    return checked


def share(rate, num_tokens):
    """`rate` of some tokens as a whole number, at least 1 if there is one."""
    return min(num_tokens, max(1, round(rate * num_tokens)))


def random_parts(total, num_parts, smallest, rng):
    """`num_parts` whole numbers from `smallest` on whose sum is `total`, all ways equally likely.

    As stars and bars: the parts are the gaps between bars, drawn without repetition.
    """
    if not num_parts:
        return np.zeros(0, "int64")
    free = total - num_parts * smallest
    bars = np.sort(rng.permutation(free + num_parts - 1)[: num_parts - 1])
    return np.diff(bars, prepend=-1, append=free + num_parts - 1) - 1 + smallest


def place(lengths, num_tokens, between, rng):
    """Places for spans of given lengths, in their order, `between` tokens or more between two.

    Returns:
        `(starts, lengths)`, int `(spans,)`.
    """
    if not len(lengths):
        return lengths, lengths
    free = num_tokens - lengths.sum() - between * (len(lengths) - 1)
    gaps = random_parts(free, len(lengths) + 1, 0, rng)[:-1]
    gaps[1:] += between
    return np.cumsum(gaps) + np.cumsum(lengths) - lengths, lengths


def mark(length, places, starts, lengths):
    """Which tokens of a row are in a span, and which are the first of one.

    Args:
        length: int, of the row.
        places: int `(tokens,)`, where the tokens that spans are counted in stand in the row.
        starts, lengths: int `(spans,)`.

    Returns:
        Two bool arrays `(length,)`. A span is cut where its tokens do not stand side by side.
    """
    span = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)
    tokens = np.arange(len(span)) + (starts - ends + lengths)[span]
    span_of = np.full(length + 1, -1)  # the last is no token: it stands before the first
    span_of[places[tokens]] = span
    inside = span_of[:-1] >= 0
    return inside, inside & (span_of[:-1] != span_of[np.arange(length) - 1])
