"""What models that read a source and write a target share: both stacks, the cache, the head."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zoo.models.base import Backbone, token_inputs


class EncoderDecoder(Backbone):
    """A stack that reads a source, and one that writes a target and attends to it.

    A subclass is its constructor, which makes the layers in the order in which tokens meet them.

    Args:
        token_embedding: a `TokenEmbedding`, of the source; the table of the head too, if there is
            no `head`.
        target_embedding: a `TokenEmbedding`; the same one where both sides share it.
        embedding_scale: float, by which embeddings are multiplied.
        encoder_positions, decoder_positions: layers whose vectors are added to the embeddings; None
            where positions act inside attention.
        encoder_embedding_norm, decoder_embedding_norm: layers that follow, or None.
        embedding_dropout: a layer, of both sides.
        encoder_blocks: a list of `TransformerBlock`.
        decoder_blocks: a list of `TransformerBlock` with a causal and a cross-attention.
        encoder_norm, decoder_norm: the last layers; None after post-norm blocks.
        head: a `Dense` or a `TiedHead`, built; None where the head is the tied table as it is.
        max_length: int, the longest source and the longest target in tokens.
        dtype: the dtype policy of all layers.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, source_length)`, `decoder_token_ids`, int
            `(batch, target_length)`, and optionally `padding_mask` and `decoder_padding_mask`, of
            their shapes, True for real tokens. Padding of a target goes on the right, where
            causality alone already hides it; no block is given its mask, as in `Decoder`.

    Returns:
        Hidden states of the target, `(batch, target_length, hidden_dim)`.
    """

    optional_inputs = ("padding_mask", "decoder_padding_mask")
    right_padded = ("decoder_padding_mask",)

    def __init__(
        self,
        *,
        token_embedding: keras.layers.Layer,
        target_embedding: keras.layers.Layer,
        encoder_blocks: Sequence[keras.layers.Layer],
        decoder_blocks: Sequence[keras.layers.Layer],
        embedding_dropout: keras.layers.Layer,
        max_length: int,
        embedding_scale: float = 1.0,
        encoder_positions: keras.layers.Layer | None = None,
        decoder_positions: keras.layers.Layer | None = None,
        encoder_embedding_norm: keras.layers.Layer | None = None,
        decoder_embedding_norm: keras.layers.Layer | None = None,
        encoder_norm: keras.layers.Layer | None = None,
        decoder_norm: keras.layers.Layer | None = None,
        head: keras.layers.Layer | None = None,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        def embed(name, embedding, positions, norm):
            x = embedding(inputs[name]) * embedding_scale
            x = x if positions is None else x + positions(x)
            return embedding_dropout(x if norm is None else norm(x))

        inputs = pair_inputs()
        x = embed("token_ids", token_embedding, encoder_positions, encoder_embedding_norm)
        for block in encoder_blocks:
            x = block(x, padding_mask=inputs["padding_mask"])
        memory = x if encoder_norm is None else encoder_norm(x)

        x = embed("decoder_token_ids", target_embedding, decoder_positions, decoder_embedding_norm)
        for block in decoder_blocks:
            x = block(x, context=memory, context_padding_mask=inputs["padding_mask"])
        outputs = x if decoder_norm is None else decoder_norm(x)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.target_embedding = target_embedding
        self.embedding_scale = embedding_scale
        self.head = head
        self.encoder_positions = encoder_positions
        self.decoder_positions = decoder_positions
        self.encoder_embedding_norm = encoder_embedding_norm
        self.decoder_embedding_norm = decoder_embedding_norm
        self.encoder_blocks = encoder_blocks
        self.decoder_blocks = decoder_blocks
        self.encoder_norm = encoder_norm
        self.decoder_norm = decoder_norm
        self.vocab_size = token_embedding.input_dim
        self.hidden_dim = token_embedding.output_dim
        self.max_length = max_length

    def encode(self, token_ids, padding_mask=None):
        """What the decoder reads of sources.

        Args:
            token_ids: int `(batch, source_length)`.
            padding_mask: `(batch, source_length)`, True for real tokens; None where all are.

        Returns:
            Hidden states `(batch, source_length, hidden_dim)`.
        """
        x = self._embed(
            token_ids, self.token_embedding, self.encoder_positions, self.encoder_embedding_norm, 0
        )
        for block in self.encoder_blocks:
            x = block(x, padding_mask=padding_mask)
        return x if self.encoder_norm is None else self.encoder_norm(x)

    def read_again(self, token_ids, padding_mask, start_id):
        """Hidden states of a source that the decoder reads, too, each token after the one before.

        Args:
            token_ids: int `(batch, length)`.
            padding_mask: `(batch, length)`, True for real tokens, padding on the right; None where
                all are.
            start_id: int, what stands before the first token.

        Returns:
            Hidden states `(batch, length, hidden_dim)`.
        """
        start = ops.full_like(token_ids[:, :1], start_id)
        shifted = ops.concatenate([start, token_ids[:, :-1]], axis=1)
        inputs = {"token_ids": token_ids, "decoder_token_ids": shifted}
        return self({**inputs, "padding_mask": padding_mask})

    @property
    def blocks(self):
        """Those of both stacks, as they are met."""
        return [*self.encoder_blocks, *self.decoder_blocks]

    def project_context(self, memory):
        """Keys and values of each decoder block's cross-attention: once a source, for all steps.

        Args:
            memory: `(batch, source_length, hidden_dim)`, what `encode` returns.
        """
        return [block.cross_attention.project_context(memory) for block in self.decoder_blocks]

    def make_cache(self, context, length, copies=1):
        """Empty keys and values of each decoder block's self-attention for `length` positions.

        Args:
            context: from `project_context`.
            length: int.
            copies: int, targets of each source; those of one lie together in a batch.
        """
        batch_size = ops.shape(context[0][0])[0] * copies
        return [block.attention.make_cache(batch_size, length) for block in self.decoder_blocks]

    def decode(self, token_ids, cache, start, context, padding_mask=None):
        """Hidden states of new target tokens, which see themselves, the cache and the source.

        Args:
            token_ids: int `(batch, length)`.
            cache: from `make_cache` or an earlier call.
            start: position of `token_ids[:, 0]`: the int 0 for an empty cache, or an int
                `(batch,)` tensor.
            context: from `project_context`.
            padding_mask: that of the source.

        Returns:
            Hidden states `(batch, length, hidden_dim)` and the updated cache.
        """
        x = self._embed(
            token_ids,
            self.target_embedding,
            self.decoder_positions,
            self.decoder_embedding_norm,
            start,
        )
        new_cache = []
        for block, own, of_source in zip(self.decoder_blocks, cache, context, strict=True):
            both = {"attention": own, "cross_attention": of_source}
            x, both = block(x, context_padding_mask=padding_mask, cache=both, start=start)
            new_cache.append(both["attention"])
        return x if self.decoder_norm is None else self.decoder_norm(x), new_cache

    def _embed(self, token_ids, embedding, positions, norm, start):
        x = embedding(token_ids) * self.embedding_scale
        x = x if positions is None else x + positions(x, start=start)
        return x if norm is None else norm(x)


def pair_inputs():
    """The symbolic inputs of a model over a source and a target."""
    mask = keras.Input((None,), dtype="bool", name="decoder_padding_mask", optional=True)
    return {
        **token_inputs(),
        "decoder_token_ids": keras.Input((None,), dtype="int32", name="decoder_token_ids"),
        "decoder_padding_mask": mask,
    }
