"""What models that predict the next token share: a stack of causal blocks, its cache, its head."""

from collections.abc import Sequence
from typing import Any

import keras

from zoo.layers.positions import check_length
from zoo.models.base import Backbone, as_inputs, token_inputs


class Decoder(Backbone):
    """A backbone of causal blocks, from token ids to hidden states.

    A subclass is its constructor, which makes the layers in the order in which tokens meet them.

    Args:
        token_embedding: a `TokenEmbedding`; the table of the head too, if there is no `head`.
        position_embedding: a layer whose vectors are added to the embeddings; None where positions
            act inside attention.
        embedding_dropout: a layer, or None.
        blocks: a list of `TransformerBlock` whose attention is causal.
        norm: a layer, the last one.
        head: a `Dense` to the vocabulary, built; None where the head is the tied table.
        max_length: int, the longest sequence in tokens.
        dtype: the dtype policy of all layers.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, and optionally `padding_mask`,
            `(batch, length)`, for those who read hidden states; or the token ids alone. Padding
            goes on the right, where causality alone already hides it from every real token: no
            block is given the mask, which would keep it from the fused causal kernel.

    Returns:
        Hidden states `(batch, length, hidden_dim)`, to be ignored at padding.

    Raises:
        ValueError: more than `max_length` tokens.
    """

    right_padded = ("padding_mask",)
    reads_on = True
    default_pooling = "last"

    def __init__(
        self,
        *,
        token_embedding: keras.layers.Layer,
        blocks: Sequence[keras.layers.Layer],
        norm: keras.layers.Layer | None,
        max_length: int,
        position_embedding: keras.layers.Layer | None = None,
        embedding_dropout: keras.layers.Layer | None = None,
        head: keras.layers.Layer | None = None,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        inputs = token_inputs()
        x = token_embedding(inputs["token_ids"])
        if position_embedding is not None:
            x = x + position_embedding(x)
        if embedding_dropout is not None:
            x = embedding_dropout(x)
        for block in blocks:
            x = block(x)
        super().__init__(inputs=inputs, outputs=norm(x), dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.position_embedding = position_embedding
        self.blocks = blocks
        self.norm = norm
        self.head = head
        self.vocab_size = token_embedding.input_dim
        self.hidden_dim = token_embedding.output_dim
        self.max_length = max_length

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        check_length(as_inputs(inputs)["token_ids"].shape[1], self.max_length)
        return super().call(inputs, training=training, mask=mask)

    def make_cache(self, batch_size, length):
        """Empty keys and values of every block for `length` positions."""
        return [block.make_cache(batch_size, length) for block in self.blocks]

    def call_with_cache(self, token_ids, cache, start):
        """Hidden states of new tokens, which see themselves and what the cache holds.

        Args:
            token_ids: int `(batch, length)`.
            cache: from `make_cache` or an earlier call.
            start: position of `token_ids[:, 0]`: the int 0 for an empty cache, or an int
                `(batch,)` tensor.

        Returns:
            Hidden states `(batch, length, hidden_dim)` and the updated cache.
        """
        check_length(token_ids.shape[1], self.max_length)
        x = self.token_embedding(token_ids)
        if self.position_embedding is not None:
            x = x + self.position_embedding(x, start=start)
        new_cache = []
        for block, block_cache in zip(self.blocks, cache, strict=True):
            x, block_cache = block(x, cache=block_cache, start=start)
            new_cache.append(block_cache)
        return self.norm(x), new_cache
