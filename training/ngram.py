"""N-gram counts with Kneser-Ney smoothing: the language model that all others are measured by.

model = KneserNey(order=5).fit(train_ids, vocab_size)
nats = model.nats(test_ids)                      # of each token
metrics.perplexity(nats, len(nats), [test_text])
"""

import numpy as np


class KneserNey:
    """Interpolated, modified Kneser-Ney smoothing of n-gram counts.

    Chen and Goodman, 1999, "An empirical study of smoothing techniques for language modeling",
    section 3. With h a context of `order - 1` tokens and h' the same without its first one:

        p(w | h) = (c(h w) - D(c(h w))) / c(h .) + b(h) p(w | h')

    c counts how often h w occurs; in the shorter contexts, before how many different tokens it
    does. What the discounts D(1), D(2) and D(3 or more) take away is b(h). After a context that
    never occurred p(w | h) is p(w | h'), and below the single tokens all of the vocabulary are
    equally likely: nothing has probability 0.

    The tokens are one stream, without starts and ends but those that are tokens themselves. All is
    done by sorting arrays: for order 5 in some 200 bytes a token of the stream.

    Args:
        order: int, tokens of the longest n-gram; 2 for bigrams. 1 knows single tokens only.

    Attributes:
        discounts: after `fit`, `order` triples D(1), D(2), D(3 or more), from single tokens on.

    Raises:
        ValueError: if the order is below 1.
    """

    def __init__(self, order):
        if order < 1:
            raise ValueError(f"order must be at least 1, for single tokens; got {order}.")
        self.order = order

    def fit(self, ids, vocab_size):
        """Count a stream of token ids; what was counted before is forgotten.

        Args:
            ids: int `(tokens,)`, at least `order`.
            vocab_size: int, ids are from 0 to `vocab_size - 1`.

        Returns:
            The model itself.

        Raises:
            ValueError: if there are too few ids, or some that are none.
        """
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be at least 1; got {vocab_size}.")
        ids = checked_ids(ids, vocab_size)
        if len(ids) < self.order:
            raise ValueError(
                f"To count {self.order} tokens in a row there must be as many; got {len(ids)}."
            )
        self.vocab_size = vocab_size
        self.levels = count_levels(ids, self.order, vocab_size)
        self.discounts = [level.discounts for level in self.levels]
        return self

    def nats(self, ids):
        """`-log p` of each token of a stream, given those before it; the first has none.

        Args:
            ids: int `(tokens,)`.

        Returns:
            float64 `(tokens,)`.

        Raises:
            ValueError: if an id is not of the vocabulary, or nothing was counted yet.
        """
        ids = self._checked(ids)
        probability = np.full(len(ids), 1 / self.vocab_size)
        contexts = np.zeros(len(ids), "int64")  # of no tokens
        for level in self.levels:
            found = level.find(contexts, ids)
            probability = level.interpolate(contexts, found, probability)
            contexts = np.append(np.int64(-1), found)[:-1]  # what ends before each token
        return -np.log(probability)

    def distribution(self, context=()):
        """Probability of each token of the vocabulary to come next.

        Args:
            context: int `(tokens,)`; of a long one only the last `order - 1` count.

        Returns:
            float64 `(vocab_size,)` whose sum is 1.

        Raises:
            ValueError: if an id is not of the vocabulary, or nothing was counted yet.
        """
        context = self._checked(context)
        tokens = np.arange(self.vocab_size)
        probability = np.full(self.vocab_size, 1 / self.vocab_size)
        for length, level in enumerate(self.levels):
            if length > len(context):
                break
            place = self._place(context[len(context) - length :])
            contexts = np.full(self.vocab_size, place)
            probability = level.interpolate(contexts, level.find(contexts, tokens), probability)
        return probability

    def _place(self, tokens):
        """The place of an n-gram among those of its length, -1 if it never occurred."""
        place = np.zeros(1, "int64")
        for level, token in zip(self.levels, tokens, strict=False):
            place = level.find(place, np.array([token]))
        return place[0]

    def _checked(self, ids):
        if not hasattr(self, "levels"):
            raise ValueError("There are no counts yet: call fit(ids, vocab_size) first.")
        return checked_ids(ids, self.vocab_size)


class Level:
    """The n-grams of one length.

    An n-gram is a context, given by its place among the n-grams that are one token shorter, and a
    last token. Both are packed into one number, and these are sorted.

    Args:
        keys: int64 `(n-grams,)`, ascending.
        counts: int `(n-grams,)`.
        num_contexts: int, how many n-grams are one token shorter; 1 for the empty one.
        vocab_size: int.
    """

    def __init__(self, keys, counts, num_contexts, vocab_size):
        self.keys = keys
        self.vocab_size = vocab_size
        self.discounts = estimate_discounts(counts)
        taken = np.array([0, *self.discounts])[np.minimum(counts, 3)]
        contexts = keys // vocab_size
        total = np.bincount(contexts, counts, minlength=num_contexts)
        self.is_known = total > 0
        total = np.maximum(total, 1)
        self.share = (counts - taken) / total[contexts]
        self.rest = np.bincount(contexts, taken, minlength=num_contexts) / total

    def find(self, contexts, tokens):
        """Places of n-grams, int64 `(n-grams,)`; -1 for those that never occurred.

        Args:
            contexts: int `(n-grams,)`, places of the contexts; -1 is none.
            tokens: int `(n-grams,)`.
        """
        wanted = contexts * self.vocab_size + tokens
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((contexts >= 0) & (self.keys[place] == wanted), place, -1)

    def interpolate(self, contexts, found, shorter):
        """Probabilities after these contexts, from `shorter`, those after one token less."""
        known = (contexts >= 0) & self.is_known[contexts]
        share = np.where(found >= 0, self.share[found], 0)
        return np.where(known, share + self.rest[contexts] * shorter, shorter)


def count_levels(ids, order, vocab_size):
    """The `Level`s of lengths 1 to `order`."""
    # For each length: the sorted keys, and which of them ends at each token, -1 for none.
    keys, ending_at = [], [np.zeros(len(ids), "int64")]
    for length in range(1, order + 1):
        contexts = np.append(np.int64(-1), ending_at[-1])[:-1] if length > 1 else ending_at[-1]
        is_there = contexts >= 0
        packed = contexts[is_there] * vocab_size + ids[is_there]
        unique, inverse = np.unique(packed, return_inverse=True)
        keys.append(unique)
        ending_at.append(np.full(len(ids), -1))
        ending_at[-1][is_there] = inverse
    there = ending_at[order] >= 0
    counts = [np.bincount(ending_at[order][there])]
    for length in range(order - 1, 0, -1):
        # How many different n-grams end with this one, that is, stand for a token before it.
        longer, own = ending_at[length + 1], ending_at[length]
        end_of = np.zeros(len(keys[length]), "int64")
        there = longer >= 0
        end_of[longer[there]] = own[there]
        counts.insert(0, np.bincount(end_of, minlength=len(keys[length - 1])))
    sizes = [1, *map(len, keys)]
    return [Level(*level, vocab_size) for level in zip(keys, counts, sizes[:-1], strict=True)]


def estimate_discounts(counts):
    """D(1), D(2) and D(3 or more) from how many n-grams occur 1, 2, 3 and 4 times.

    Chen and Goodman, 1999, equation 26. Where these numbers allow no estimate that is above 0 and
    at most the count, as in very little text, they are 0.5, 1 and 1.5.
    """
    once, twice, thrice, four_times = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    fallback = (0.5, 1.0, 1.5)
    if not (once and twice and thrice):
        return fallback
    y = once / (once + 2 * twice)
    estimate = (
        1 - 2 * y * twice / once,
        2 - 3 * y * thrice / twice,
        3 - 4 * y * four_times / thrice,
    )
    usable = all(0 < discount <= count for count, discount in enumerate(estimate, start=1))
    return estimate if usable else fallback


def checked_ids(ids, vocab_size):
    ids = np.asarray(ids)
    if not ids.size:
        return np.zeros(0, "int64")
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(
            "Token ids must be one stream of whole numbers; got shape "
            f"{ids.shape} and dtype {ids.dtype}."
        )
    lowest, highest = ids.min(), ids.max()
    if lowest < 0 or highest >= vocab_size:
        raise ValueError(
            f"Token ids must be from 0 to {vocab_size - 1}; "
            f"got {lowest if lowest < 0 else highest}."
        )
    return ids.astype("int64")
