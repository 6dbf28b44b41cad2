"""Pairs of a source and a target to rows of token ids, batched by their lengths."""

import warnings

import numpy as np

from zoo.data.batches import LengthBuckets, padded_length
from zoo.data.checks import check_labels, check_token_ids, is_array, is_text


def is_raw_pairs(x):
    """Whether `x` is text, or a list of pairs of texts (judged by its first item)."""
    if isinstance(x, (list, tuple)) and len(x) > 0 and isinstance(x[0], (list, tuple)):
        return any(isinstance(text, (str, bytes)) for text in x[0])
    return is_text(x)


def split_pairs(x, y=None):
    """Sources and targets, two lists of equal length, of what a user passes for them.

    Raises:
        ValueError: if something is not a pair, or there are not as many of both.
    """
    if y is None:
        if is_text(x):
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
    sources, targets = ([texts] if isinstance(texts, str) else list(texts) for texts in (x, y))
    if len(sources) != len(targets):
        raise ValueError(
            f"There must be as many targets as sources; got {len(sources)} sources and "
            f"{len(targets)} targets."
        )
    return sources, targets


def check_pair_inputs(x, backbone):
    """Refuse arrays that are not the ids of two sequences; datasets pass unseen."""
    if is_array(x) or (isinstance(x, dict) and not {"token_ids", "decoder_token_ids"} <= set(x)):
        got = sorted(x) if isinstance(x, dict) else type(x).__name__
        raise ValueError(
            "This model reads two sequences: arrays must come as a dict of 'token_ids' and "
            f"'decoder_token_ids'; got {got}."
        )
    if isinstance(x, dict):
        for name in ("token_ids", "decoder_token_ids"):
            check_token_ids({"token_ids": x[name]}, backbone)


def check_pair_arrays(x, y, sample_weight, backbone):
    """The same, with labels and weights that must fit the decoder's ids."""
    check_pair_inputs(x, backbone)
    if not isinstance(x, dict):
        return
    if y is None:
        raise ValueError(
            "Arrays of token ids need labels: y, (batch, target_length), the token that follows "
            "each of decoder_token_ids."
        )
    check_labels({"token_ids": x["decoder_token_ids"]}, y, sample_weight, backbone)


class PairFormat:
    """`source [END]` for the encoder, `[START] target [END]` for the decoder.

    A tokenizer without a start token starts with its end token.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer` with an end token.
        source_length: int, the most tokens of a source's row.
        target_length: int, the most that are predicted of a target.
        source_start: bool, whether a source's row starts as a target's does.

    Raises:
        ValueError: if the tokenizer has no end token.
    """

    def __init__(self, tokenizer, source_length, target_length, source_start=False):
        if tokenizer.end_id is None:
            raise ValueError(
                "Targets end with a special token such as <|endoftext|>; the tokenizer has "
                f"only {sorted(tokenizer.special_ids)}."
            )
        self.tokenizer = tokenizer
        self.end_id = tokenizer.end_id
        self.start_id = self.end_id if tokenizer.start_id is None else tokenizer.start_id
        self.source_length = source_length
        self.target_length = target_length
        self.before_source = [self.start_id] if source_start else []

    def tokens(self, texts, what):
        """Token ids of texts; raises ValueError for one that has none."""
        rows = self.tokenizer.encode(texts)
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
        return len(self.before_source) + len(source) >= self.source_length

    def source_row(self, ids):
        """A source's row; one that is too long loses tokens before its end token."""
        return [*[*self.before_source, *ids][: self.source_length - 1], self.end_id]

    def target_row(self, ids):
        """A target's row, from which inputs and labels are cut; one too long has no end token."""
        return [self.start_id, *ids, self.end_id][: self.target_length + 1]

    def examples(self, sources, targets, weights=None, cut=True):
        """`PairExamples` of two lists of strings.

        Args:
            sources, targets: lists of strings.
            weights: a number for each pair, or None.
            cut: bool, whether to cut what is too long, with a warning, or to refuse it.

        Raises:
            TypeError: if something is not text.
            ValueError: if a text has no tokens or is too long, or there is not a weight for each.
        """
        sources, targets = self.tokens(sources, "source"), self.tokens(targets, "target")
        num_long = sum(
            self.is_long(source) or len(target) >= self.target_length
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
            warnings.warn(f"{message}, and were cut.", stacklevel=4)
        if weights is not None:
            weights = np.asarray(weights, "float32")
            if weights.shape != (len(sources),):
                raise ValueError(
                    f"sample_weight must have a number for each of the {len(sources)} pairs; got "
                    f"shape {weights.shape}."
                )
        return PairExamples(
            [np.array(self.source_row(ids), "int32") for ids in sources],
            [np.array(self.target_row(ids), "int32") for ids in targets],
            weights,
        )


class PairExamples:
    """Rows of sources and targets that are not padded yet, and a weight for each pair or None."""

    def __init__(self, sources, targets, weights=None):
        self.sources = sources
        self.targets = targets
        self.weights = weights

    def __len__(self):
        return len(self.sources)

    def split(self, fraction):
        """The first pairs, and the last `fraction` of them."""
        cut = round(len(self) * (1 - fraction))
        if not 0 < cut < len(self):
            raise ValueError(
                "validation_split must leave pairs on both sides; got "
                f"{fraction} of {len(self)} pairs."
            )
        return self._part(slice(None, cut)), self._part(slice(cut, None))

    def _part(self, rows):
        weights = None if self.weights is None else self.weights[rows]
        return PairExamples(self.sources[rows], self.targets[rows], weights)

    def batch(self, rows, max_length):
        """`(inputs, labels, weights)` of some pairs.

        There is no mask of the target: causality hides what pads it, and attention without a mask
        is faster.
        """
        sources, mask = _pad([self.sources[row] for row in rows], max_length)
        inputs, is_real = _pad([self.targets[row][:-1] for row in rows], max_length)
        labels, _ = _pad([self.targets[row][1:] for row in rows], max_length)
        weights = is_real.astype("float32")
        if self.weights is not None:
            weights *= self.weights[rows, None]
        x = {"token_ids": sources, "padding_mask": mask, "decoder_token_ids": inputs}
        return x, labels, weights


class PairBuckets(LengthBuckets):
    """Batches of pairs whose sources and targets are of similar length; see `LengthBuckets`."""

    def __init__(self, examples, batch_size, shuffle, max_length, seed=None):
        # By the length of the source, on JAX as it is padded; then by that of the target.
        examples.lengths = np.array(
            [
                padded_length(len(source), max_length) * 2**32 + len(target)
                for source, target in zip(examples.sources, examples.targets, strict=True)
            ]
        )
        super().__init__(examples, batch_size, shuffle, max_length, seed)

    def make(self, planned):
        return self.examples.batch(planned, self.max_length)


def _pad(rows, max_length):
    """int32 `(rows, length)` with zeros after their ends, and where the tokens are."""
    lengths = np.array([len(row) for row in rows])
    is_real = np.arange(padded_length(int(lengths.max()), max_length)) < lengths[:, None]
    padded = np.zeros(is_real.shape, "int32")
    padded[is_real] = np.concatenate(rows)
    return padded, is_real
