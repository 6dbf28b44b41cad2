"""The Transformer: an encoder that reads a source, and a decoder that writes a target."""

import keras
from keras import ops

from zoo.arguments import Boolean, Choice
from zoo.layers import (
    FeedForward,
    MultiHeadAttention,
    PositionEmbedding,
    RelativePositionBias,
    SinusoidalPositions,
    TokenEmbedding,
    TransformerBlock,
)
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone, token_inputs

POSITIONS = ("sinusoidal", "learned", "relative")
RELATIVE_BUCKETS = 32  # of distances, in each of the two biases


@keras.saving.register_keras_serializable("zoo")
class Transformer(Backbone):
    """The encoder-decoder Transformer, from the ids of two sequences to hidden states.

    Vaswani et al., 2017, https://arxiv.org/abs/1706.03762: sinusoidal positions, post-norm blocks,
    ReLU, and one table for the source, the target and the output, scaled by sqrt(hidden_dim) where
    it is read (section 3.4). Projections start as Glorot and Bengio, 2010, have it, the table as
    N(0, 1 / hidden_dim).

    Args:
        vocab_size: int, tokens of both languages together.
        num_layers: int, blocks of the encoder, and as many of the decoder.
        num_heads: int, a divisor of `hidden_dim`.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        max_length: int, the longest source and the longest target in tokens.
        position: `"sinusoidal"`; `"learned"` for a table of each side (Gehring et al., 2017); or
            `"relative"` for T5's bias on the scores, one of each side, which all its blocks share
            (Raffel et al., 2020).
        pre_norm: bool, whether norms stand before the sublayers (Xiong et al., 2020) and at the end
            of both stacks.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        tied: bool, whether one table embeds both sides and is the head. Without, each side has a
            table of its own, and the head a kernel and a bias, as in many models for one pair of
            vocabularies.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, source_length)`, `decoder_token_ids`, int
            `(batch, target_length)`, and optionally `padding_mask` and `decoder_padding_mask`, of
            their shapes, True for real tokens. Padding of a target goes on the right, where
            causality alone already hides it.

    Returns:
        Hidden states of the target, `(batch, target_length, hidden_dim)`.

    Raises:
        ValueError: if `position` is none of these.
    """

    family = "transformer"
    tasks = ("seq2seq",)
    arguments = Backbone.arguments | {
        "position": Choice(*POSITIONS),
        "pre_norm": Boolean(),
        "tied": Boolean(),
    }
    optional_inputs = ("padding_mask", "decoder_padding_mask")

    def __init__(
        self,
        vocab_size,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_dim=None,
        max_length=512,
        position="sinusoidal",
        pre_norm=False,
        dropout=0.1,
        attention_dropout=0.0,
        norm_epsilon=1e-6,
        tied=True,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        mlp_dim = mlp_dim or 4 * hidden_dim
        encoder_positions, encoder_bias = make_positions(
            position, "encoder", max_length, num_heads, dtype
        )
        decoder_positions, decoder_bias = make_positions(
            position, "decoder", max_length, num_heads, dtype
        )

        def make_attention(name, **arguments):
            return MultiHeadAttention(
                num_heads,
                dropout=attention_dropout,
                kernel_initializer=glorot(hidden_dim, hidden_dim),
                dtype=dtype,
                name=name,
                **arguments,
            )

        def make_block(name, attention, cross_attention=None):
            feed_forward = FeedForward(
                mlp_dim,
                activation="relu",
                kernel_initializer=glorot(hidden_dim, mlp_dim),
                dtype=dtype,
                name="feed_forward",
            )
            return TransformerBlock(
                attention,
                feed_forward,
                cross_attention=cross_attention,
                pre_norm=pre_norm,
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                dtype=dtype,
                name=name,
            )

        def make_norm(name):
            return keras.layers.LayerNormalization(epsilon=norm_epsilon, dtype=dtype, name=name)

        def make_embedding(name):
            return TokenEmbedding(
                vocab_size,
                hidden_dim,
                embeddings_initializer=Normal(hidden_dim**-0.5),
                dtype=dtype,
                name=name,
            )

        token_embedding = make_embedding("token_embedding")
        target_embedding = token_embedding if tied else make_embedding("target_embedding")
        head = None if tied else make_head(vocab_size, hidden_dim, dtype)
        embedding_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="embedding_dropout")
        encoder_blocks = [
            make_block(f"encoder_block_{i}", make_attention("attention", position=encoder_bias))
            for i in range(num_layers)
        ]
        decoder_blocks = [
            make_block(
                f"decoder_block_{i}",
                make_attention("attention", causal=True, position=decoder_bias),
                make_attention("cross_attention"),
            )
            for i in range(num_layers)
        ]
        encoder_norm = make_norm("encoder_norm") if pre_norm else None
        decoder_norm = make_norm("decoder_norm") if pre_norm else None

        inputs = pair_inputs()
        x = token_embedding(inputs["token_ids"]) * hidden_dim**0.5
        x = embedding_dropout(x if encoder_positions is None else x + encoder_positions(x))
        for block in encoder_blocks:
            x = block(x, padding_mask=inputs["padding_mask"])
        memory = encoder_norm(x) if pre_norm else x

        x = target_embedding(inputs["decoder_token_ids"]) * hidden_dim**0.5
        x = embedding_dropout(x if decoder_positions is None else x + decoder_positions(x))
        for block in decoder_blocks:
            x = block(
                x,
                context=memory,
                padding_mask=inputs["decoder_padding_mask"],
                context_padding_mask=inputs["padding_mask"],
            )
        outputs = decoder_norm(x) if pre_norm else x
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.target_embedding = target_embedding
        self.head = head
        self.encoder_positions = encoder_positions
        self.decoder_positions = decoder_positions
        self.encoder_blocks = encoder_blocks
        self.decoder_blocks = decoder_blocks
        self.encoder_norm = encoder_norm
        self.decoder_norm = decoder_norm
        self.vocab_size = vocab_size
        self.hidden_dim = hidden_dim
        self.max_length = max_length

    def encode(self, token_ids, padding_mask=None):
        """What the decoder reads of sources.

        Args:
            token_ids: int `(batch, source_length)`.
            padding_mask: `(batch, source_length)`, True for real tokens; None where all are.

        Returns:
            Hidden states `(batch, source_length, hidden_dim)`.
        """
        x = self._embed(token_ids, self.token_embedding, self.encoder_positions, 0)
        for block in self.encoder_blocks:
            x = block(x, padding_mask=padding_mask)
        return x if self.encoder_norm is None else self.encoder_norm(x)

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
        x = self._embed(token_ids, self.target_embedding, self.decoder_positions, start)
        new_cache = []
        for block, own, of_source in zip(self.decoder_blocks, cache, context, strict=True):
            both = {"attention": own, "cross_attention": of_source}
            x, both = block(x, context_padding_mask=padding_mask, cache=both, start=start)
            new_cache.append(both["attention"])
        return x if self.decoder_norm is None else self.decoder_norm(x), new_cache

    def logits(self, hidden):
        """Project hidden states `(..., hidden_dim)` to `(..., vocab_size)`."""
        return super().logits(hidden) if self.head is None else self.head(hidden)

    @property
    def has_plain_head(self):
        return self.head is None and super().has_plain_head

    def _embed(self, token_ids, embedding, positions, start):
        x = embedding(token_ids) * self.hidden_dim**0.5
        return x if positions is None else x + positions(x, start=start)


def pair_inputs():
    """The symbolic inputs of a model over a source and a target."""
    mask = keras.Input((None,), dtype="bool", name="decoder_padding_mask", optional=True)
    return {
        **token_inputs(),
        "decoder_token_ids": keras.Input((None,), dtype="int32", name="decoder_token_ids"),
        "decoder_padding_mask": mask,
    }


def make_positions(kind, side, max_length, num_heads, dtype):
    """The layer whose vectors are added to a side's embeddings, and the one in its attention."""
    name = f"{side}_positions"
    if kind == "sinusoidal":
        return SinusoidalPositions(dtype=dtype, name=name), None
    if kind == "learned":
        return PositionEmbedding(max_length, Normal(0.02), dtype=dtype, name=name), None
    if kind == "relative":
        is_encoder = side == "encoder"
        bias = RelativePositionBias(
            num_heads, RELATIVE_BUCKETS, bidirectional=is_encoder, dtype=dtype, name=name
        )
        bias.build()  # here, under its own name: the blocks share it
        return None, bias
    raise ValueError(f"position must be one of {', '.join(POSITIONS)}; got {kind!r}.")


def make_head(vocab_size, hidden_dim, dtype):
    head = keras.layers.Dense(
        vocab_size, kernel_initializer=glorot(hidden_dim, vocab_size), dtype=dtype, name="head"
    )
    head.build((None, hidden_dim))  # here, under its own name: only tasks call it
    return head


def glorot(fan_in, fan_out):
    """Glorot and Bengio, 2010: outputs and gradients keep the variance of what comes in."""
    return Normal((2 / (fan_in + fan_out)) ** 0.5)
