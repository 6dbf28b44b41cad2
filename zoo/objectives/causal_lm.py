"""Causal language modelling: predict each token from those before it."""

from itertools import chain

import numpy as np


class PackedCausalLM:
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

    Returns:
        `(token_ids, labels, sample_weight)`, each `(rows, length)`: int32, int32, float32; the
        weights are None when every one of them is 1.

    Raises:
        ValueError: if there is no token to train on.
    """

    def __init__(self, length, separator_id, seed=None, drop_remainder=True):
        self.length = length
        self.separator_id = separator_id
        self.seed = seed
        self.drop_remainder = drop_remainder

    def __call__(self, documents):
        stream = self._stream([np.asarray(ids, "int32") for ids in documents])
        num_labels = len(stream) - 1
        full_rows, remainder = divmod(num_labels, self.length)
        if remainder and self.drop_remainder and full_rows:
            num_labels, remainder = full_rows * self.length, 0
        padding = (self.length - remainder) % self.length if remainder else 0
        stream = np.pad(stream[: num_labels + 1], (0, padding), constant_values=self.separator_id)
        token_ids = stream[:-1].reshape(-1, self.length)
        labels = stream[1:].reshape(-1, self.length)
        if not padding:
            return token_ids, labels, None
        sample_weight = np.ones(token_ids.shape, "float32")
        sample_weight[-1, remainder:] = 0
        return token_ids, labels, sample_weight

    def _stream(self, documents):
        if not any(len(ids) for ids in documents):
            raise ValueError(
                "There is nothing to learn from: expected at least one document with a token in "
                f"it; got {len(documents)} documents and no tokens. Check the texts."
            )
        if self.seed is not None:
            order = np.random.default_rng(self.seed).permutation(len(documents))
            documents = [documents[i] for i in order]
        separator = np.asarray([self.separator_id], "int32")
        return np.concatenate([separator, *chain(*((ids, separator) for ids in documents))])


def next_token_rows(token_ids, padding_mask=None):
    """Rows `(batch, length + 1)` of token ids to `(token_ids, labels, sample_weight)` of `length`.

    `padding_mask`, of the shape of `token_ids`, gives labels that are padding the weight 0.
    """
    token_ids = np.asarray(token_ids)
    if token_ids.ndim != 2 or token_ids.shape[1] < 2:
        raise ValueError(
            "Token ids to train on must be a (batch, length) array of at least 2 tokens a row, "
            f"each but the first a label; got shape {token_ids.shape}."
        )
    weight = None if padding_mask is None else np.asarray(padding_mask, "float32")[:, 1:]
    return token_ids[:, :-1], token_ids[:, 1:], weight
