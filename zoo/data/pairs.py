"""Pairs of a source and a target to rows of token ids, batched by their lengths."""

import warnings

import numpy as np

from zoo.backends.buckets import LENGTHS, bucket
from zoo.data.batches import LengthBuckets, Splits, padded_length
from zoo.data.checks import check_labels, check_padding, check_token_ids
from zoo.data.encoding import encoded
from zoo.data.labels import checked_weights
from zoo.data.sources import to_list
from zoo.data.texts import NothingToLearn, filled, is_text, user_level, warn_dropped
from zoo.tokenizers import SpecialTokens


def split_pairs(x, y=None):
    """Sources and targets, two lists of equal length, of what a user passes for them.

    Raises:
        ValueError: if something is not a pair, or there are not as many of both.
    """
    if y is None:
        if is_text(x[0]):
            raise ValueError(
                "Each source needs a target: pass a list of (source, target) pairs, or the sources "
                "and the targets as two lists; got sources alone."
            )
        for place, pair in enumerate(x):
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ValueError(
                    "Each item must be a pair of a source and a target; the one at position "
                    f"{place} is {str(pair)[:60]!r}."
                )
        return [source for source, _ in x], [target for _, target in x]
    sources, targets = to_list(x), to_list(y)
    if len(sources) != len(targets):
        raise ValueError(
            f"There must be as many targets as sources; got {len(sources)} sources and "
            f"{len(targets)} targets."
        )
    return sources, targets


def check_pair_inputs(x, backbone):
    """Refuse arrays that are not the ids of two sequences."""
    if not isinstance(x, dict) or not {"token_ids", "decoder_token_ids"} <= set(x):
        got = sorted(x) if isinstance(x, dict) else type(x).__name__
        raise ValueError(
            "This model reads two sequences: arrays must come as a dict of 'token_ids' and "
            f"'decoder_token_ids'; got {got}."
        )
    for name in ("token_ids", "decoder_token_ids"):
        check_token_ids(x[name], backbone)
    check_padding(x, backbone)


def check_pair_arrays(x, y, sample_weight, backbone):
    """The same, with labels and weights that must fit the decoder's ids."""
    check_pair_inputs(x, backbone)
    if y is None:
        raise ValueError(
            "Arrays of token ids need labels: y, (batch, target_length), the token that follows "
            "each of decoder_token_ids."
        )
    check_labels({"token_ids": x["decoder_token_ids"]}, y, sample_weight, backbone)


class PairFormat:
    """`source [END]` for the encoder, `[START] target [END]` for the decoder.

    A task's special tokens may put others around a source, and one more before every target.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer`; None where only ids are laid out.
        source_length: int, the most tokens of a source's row.
        target_length: int, the most that are predicted of a target.
        source_start: bool, whether a source's row starts with the start token.
        special_tokens: the task's `zoo.tokenizers.SpecialTokens`, with an end; None for those of
            the tokenizer. Targets start from `before_target`.

    Raises:
        ValueError: if there is no end token.
    """

    def __init__(
        self, tokenizer, source_length, target_length, source_start=False, special_tokens=None
    ):
        special = special_tokens or SpecialTokens.of(tokenizer)
        if special.end is None:
            names = [] if tokenizer is None else sorted(tokenizer.special_ids)
            raise ValueError(
                f"Targets end with a special token such as <|endoftext|>; the tokenizer has only "
                f"{names}. Say which id it is: special_tokens=SpecialTokens(stop=...)."
            )
        self.tokenizer = tokenizer
        self.end_id = special.end
        self.before_target = special.target_prefix
        self.source_length = source_length
        self.target_length = target_length
        has_start = source_start or special.source_start is not None
        self.before_source = [special.before_source] if has_start else []
        self.after_source = list(special.after_source)

    def tokens(self, texts, what):
        """Token ids of texts; raises ValueError for one that has none."""
        texts = filled(texts)
        tokenizer = self.tokenizer.for_targets if what == "target" else self.tokenizer
        rows = encoded(tokenizer, texts)
        for place, (text, row) in enumerate(zip(texts, rows, strict=True)):
            if not row:
                raise ValueError(
                    f"Each {what} must have a token at least; the one at position {place} has "
                    f"none: {text[:40]!r}. Leave it out."
                )
        return rows

    def require_fit(self, rows):
        """Raise ValueError for a source that would lose tokens in its row."""
        for place, ids in enumerate(rows):
            if self.is_long(ids):
                around = "start and end tokens" if self.before_source else "end token"
                raise ValueError(
                    f"A source and its {around} must fit into the context of "
                    f"{self.source_length} tokens; the one at position {place} has {len(ids)} "
                    "tokens. Shorten or split it, or pass truncate=True to read only its start."
                )

    def is_long(self, source):
        """Whether a source would lose tokens in its row."""
        around = len(self.before_source) + len(self.after_source)
        return around + len(source) > self.source_length

    def source_row(self, ids):
        """A source's row; one that is too long loses tokens before its end token."""
        room = self.source_length - len(self.after_source)
        return [*[*self.before_source, *ids][:room], *self.after_source]

    def target_row(self, ids):
        """A target's row, from which inputs and labels are cut; one too long has no end token."""
        return [*self.before_target, *ids, self.end_id][: self.target_length + 1]

    def examples(self, sources, targets, weights=None, cut=True, drop=False):
        """`PairExamples` of two lists of strings.

        Args:
            sources, targets: lists of strings.
            weights: a number for each pair, or None.
            cut: bool, whether to cut what is too long, with a warning, or to refuse it.
            drop: bool, whether to leave out pairs that miss a text, with a warning, or to refuse
                them.

        Raises:
            TypeError: if something is not text.
            ValueError: if a text has no tokens or is too long, or there is not a weight for each.
        """
        if weights is not None:
            weights = checked_weights(weights, len(sources), "pair")
        if drop:
            rows = encoded(self.tokenizer, sources), encoded(self.tokenizer.for_targets, targets)
            kept = [i for i, pair in enumerate(zip(*rows, strict=True)) if all(pair)]
            if not kept:
                raise NothingToLearn(
                    "There is nothing to learn from: no pair has two texts. Check them."
                )
            warn_dropped(len(sources) - len(kept), len(sources), "pairs")
            sources, targets = ([texts[i] for i in kept] for texts in rows)
            weights = None if weights is None else weights[kept]
        else:
            sources, targets = self.tokens(sources, "source"), self.tokens(targets, "target")
        num_long = sum(
            self.is_long(source) or len(self.before_target) + len(target) > self.target_length
            for source, target in zip(sources, targets, strict=True)
        )
        if num_long:
            message = (
                f"{num_long} of {len(sources)} pairs have a source of more than "
                f"{self.source_length} tokens or a target of more than {self.target_length}, with "
                "their end tokens"
            )
            if not cut:
                raise ValueError(f"{message}. Shorten or split them.")
            warnings.warn(f"{message}, and were cut.", stacklevel=user_level())
        return PairExamples(
            [np.array(self.source_row(ids), "int32") for ids in sources],
            [np.array(self.target_row(ids), "int32") for ids in targets],
            weights,
        )


class PairExamples(Splits):
    """Rows of sources and targets that are not padded yet, and a weight for each pair or None."""

    def __init__(self, sources, targets, weights=None):
        self.sources = sources
        self.targets = targets
        self.weights = weights

    def __len__(self):
        return len(self.sources)

    @property
    def lengths(self):
        return np.array([len(target) - 1 for target in self.targets])

    def model_inputs(self, rows, max_length):
        """The inputs of some pairs, padded to few lengths."""
        return self.batch(rows, max_length, is_bucketed=True)[0]

    def part(self, rows):
        """Some pairs, by a slice."""
        weights = None if self.weights is None else self.weights[rows]
        return PairExamples(self.sources[rows], self.targets[rows], weights)

    def batch(self, rows, max_length, is_bucketed=False):
        """`(inputs, labels, weights)` of some pairs.

        There is no mask of the target: causality hides what pads it, and attention without a mask
        is faster.
        """
        sources, mask = _pad([self.sources[row] for row in rows], max_length, is_bucketed)
        targets = [self.targets[row] for row in rows]
        inputs, is_real = _pad([row[:-1] for row in targets], max_length, is_bucketed)
        labels, _ = _pad([row[1:] for row in targets], max_length, is_bucketed)
        weights = is_real.astype("float32")
        if self.weights is not None:
            weights *= self.weights[rows, None]
        x = {"token_ids": sources, "padding_mask": mask, "decoder_token_ids": inputs}
        return x, labels, weights


class PairBuckets(LengthBuckets):
    """Batches of pairs whose sources and targets are of similar length; see `LengthBuckets`."""

    def __init__(self, examples, batch_size, shuffle, max_length, seed=None):
        # By the length of the source, on JAX as it is padded; then by that of the target.
        lengths = [
            padded_length(len(source), max_length) * 2**32 + len(target)
            for source, target in zip(examples.sources, examples.targets, strict=True)
        ]
        super().__init__(examples, batch_size, shuffle, max_length, seed, np.array(lengths))

    def make(self, planned):
        return self.examples.batch(planned, self.max_length)


def _pad(rows, max_length, is_bucketed):
    """int32 `(rows, length)` with zeros after their ends, and where the tokens are."""
    lengths = np.array([len(row) for row in rows])
    longest = int(lengths.max())
    length = (
        bucket(longest, LENGTHS, max_length) if is_bucketed else padded_length(longest, max_length)
    )
    is_real = np.arange(length) < lengths[:, None]
    padded = np.zeros(is_real.shape, "int32")
    padded[is_real] = np.concatenate(rows)
    return padded, is_real
