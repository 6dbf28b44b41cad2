"""Causal language modelling: predict each token from those before it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from zoo.objectives.base import Objective, as_ids, as_weights, check_sizes
from zoo.ranges import SEED, SIZE, TOKEN_ID, Boolean


class PackedCausalLM(Objective):
    """Documents to full rows of one token stream: no padding, nothing truncated.

    The stream is `<sep> document <sep> document ... <sep>`: the model learns how a document
    starts and that it ends. It is cut into rows of `length` tokens; a row's labels are its tokens
    moved by one. Only the last partial row is dropped, or kept with weight 0 on its padding.

    Args:
        length: int, tokens in a row.
        separator_id: int.
        seed: int, the order of the documents; None keeps them as they come.
        drop_remainder: bool. A stream of less than one row is kept whatever this says.

    Call arguments:
        documents: an iterable of sequences of token ids.
        weights: a number for each document, which its tokens and the separator after it count as;
            None for 1.

    Returns:
        `(token_ids, labels, sample_weight)`, each `(rows, length)`: int32, int32, float32; the
        weights are None when every one of them is 1.

    Raises:
        TypeError: if documents are not several.
        ValueError: if an argument is out of its range, a document is none, there is no token to
            train on, or not a weight for each document.
    """

    arguments = Objective.arguments | {
        "length": SIZE,
        "separator_id": TOKEN_ID,
        "seed": SEED,
        "drop_remainder": Boolean(),
    }

    def __init__(
        self, length: int, separator_id: int, seed: int | None = None, drop_remainder: bool = True
    ) -> None:
        self.length = length
        self.separator_id = separator_id
        self.seed = seed
        self.drop_remainder = drop_remainder

    def __call__(self, documents: Iterable, weights: Sequence[float] | None = None) -> tuple:
        documents = as_ids(documents)
        stream = self._stream(documents)
        if weights is not None:
            weights = as_weights(weights, len(documents))
            sizes = np.array([len(ids) + 1 for ids in documents])
            order = self._order(len(documents))
            weights = np.repeat(weights[order], sizes[order])
        return cut_stream(stream, self.length, self.separator_id, self.drop_remainder, weights)

    def _stream(self, documents):
        if not any(len(ids) for ids in documents):
            raise ValueError(
                "There is nothing to learn from: expected at least one document with a token in "
                f"it; got {len(documents)} documents and no tokens. Check the texts."
            )
        documents = [documents[i] for i in self._order(len(documents))]
        separator = np.asarray([self.separator_id], "int32")
        return np.concatenate([separator, *chain(*((ids, separator) for ids in documents))])

    def _order(self, count):
        if self.seed is None:
            return np.arange(count)
        return np.random.default_rng(self.seed).permutation(count)


def cut_stream(stream, length, separator_id, drop_remainder, weights=None):
    """Cut a stream of tokens into rows of `length` tokens with their labels, as `PackedCausalLM`.

    Args:
        stream: int32 `(tokens,)`.
        weights: float32 `(tokens - 1,)`, of the labels; None for 1.
    """
    num_labels = len(stream) - 1
    full_rows, remainder = divmod(num_labels, length)
    if remainder and drop_remainder and full_rows:
        num_labels, remainder = full_rows * length, 0
    padding = length - remainder if remainder else 0
    stream = np.pad(stream[: num_labels + 1], (0, padding), constant_values=separator_id)
    token_ids, labels = stream[:-1].reshape(-1, length), stream[1:].reshape(-1, length)
    if weights is None and not padding:
        return token_ids, labels, None
    weights = np.ones(num_labels, "float32") if weights is None else weights[:num_labels]
    return token_ids, labels, np.pad(weights, (0, padding)).reshape(-1, length)


def packed_batches(
    documents: Iterable,
    length: int,
    batch_size: int,
    separator_id: int,
    drop_remainder: bool = True,
) -> Iterator:
    """The rows of `PackedCausalLM` as batches, of documents that are read as they come.

    Args:
        documents: an iterable of `(token ids, weight)`.
        batch_size: int, rows in a batch.

    Yields:
        `(token_ids, labels, sample_weight)`, each `(batch_size, length)`; the last has fewer rows.
    """
    check_sizes(batch_size, length)
    tokens, weights = [separator_id], [1.0]
    size, has_batch = batch_size * length, False
    for ids, weight in documents:
        tokens += [*ids, separator_id]
        weights += [weight] * (len(ids) + 1)
        while len(tokens) > size:
            yield _rows(tokens[: size + 1], weights[: size + 1], length, separator_id, False)
            tokens, weights, has_batch = tokens[size:], weights[size:], True
    is_rest = len(tokens) > (length if drop_remainder and has_batch else 1)
    if is_rest:
        yield _rows(tokens, weights, length, separator_id, drop_remainder)


def _rows(tokens, weights, length, separator_id, drop_remainder):
    weights = np.array(weights[1:], "float32")
    return cut_stream(np.array(tokens, "int32"), length, separator_id, drop_remainder, weights)


def next_token_rows(token_ids: Any, padding_mask: Any = None) -> tuple:
    """Rows `(batch, length + 1)` of token ids to `(token_ids, labels, sample_weight)` of `length`.

    `padding_mask`, of the shape of `token_ids`, gives labels that are padding the weight 0.
    """
    token_ids = np.asarray(token_ids)
    if token_ids.ndim != 2 or token_ids.shape[1] < 2 or token_ids.dtype.kind not in "iu":
        raise ValueError(
            "Token ids to train on must be a (batch, length) array of at least 2 tokens a row, "
            f"each but the first a label; got shape {token_ids.shape}, dtype {token_ids.dtype}."
        )
    if padding_mask is not None and np.shape(padding_mask) != token_ids.shape:
        raise ValueError(
            f"padding_mask must have the shape of the token ids, {token_ids.shape}; got "
            f"{np.shape(padding_mask)}."
        )
    weight = None if padding_mask is None else np.asarray(padding_mask, "float32")[:, 1:]
    return token_ids[:, :-1], token_ids[:, 1:], weight
