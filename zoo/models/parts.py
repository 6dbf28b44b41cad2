"""The layers that a Transformer is put together from."""

import keras

from zoo.layers import (
    FeedForward,
    MultiHeadAttention,
    ParallelBlock,
    PositionEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from zoo.layers.blocks import NORMS


class Parts:
    """Makes the layers of one model, which share what is given here.

    Args:
        dtype: a dtype policy or its name; None for Keras' own.
        num_heads: int.
        dropout: float, on embeddings and residual branches.
        attention_dropout: float, on attention probabilities.
        pre_norm, norm, norm_epsilon: those of `TransformerBlock`.
    """

    def __init__(
        self,
        dtype,
        num_heads,
        dropout=0.0,
        attention_dropout=0.0,
        pre_norm=True,
        norm="layer",
        norm_epsilon=1e-5,
    ):
        self.dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.num_heads = num_heads
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.pre_norm = pre_norm
        self.norm_kind = norm
        self.norm_epsilon = norm_epsilon

    def token_embedding(self, vocab_size, hidden_dim, initializer, name="token_embedding"):
        return TokenEmbedding(
            vocab_size,
            hidden_dim,
            embeddings_initializer=initializer,
            dtype=self.dtype,
            name=name,
        )

    def position_embedding(self, max_length, initializer, name="position_embedding"):
        return PositionEmbedding(max_length, initializer, dtype=self.dtype, name=name)

    def embedding_dropout(self):
        return keras.layers.Dropout(self.dropout, dtype=self.dtype, name="embedding_dropout")

    def attention(self, name="attention", **arguments):
        return MultiHeadAttention(
            self.num_heads,
            dropout=self.attention_dropout,
            dtype=self.dtype,
            name=name,
            **arguments,
        )

    def feed_forward(self, mlp_dim, activation, **arguments):
        return FeedForward(mlp_dim, activation, dtype=self.dtype, name="feed_forward", **arguments)

    def block(self, name, attention, feed_forward, cross_attention=None):
        return TransformerBlock(
            attention,
            feed_forward,
            cross_attention=cross_attention,
            pre_norm=self.pre_norm,
            norm=self.norm_kind,
            norm_epsilon=self.norm_epsilon,
            dropout=self.dropout,
            dtype=self.dtype,
            name=name,
        )

    def parallel_block(self, name, attention, feed_forward):
        return ParallelBlock(
            attention,
            feed_forward,
            norm=self.norm_kind,
            norm_epsilon=self.norm_epsilon,
            dropout=self.dropout,
            dtype=self.dtype,
            name=name,
        )

    def encoder_blocks(self, count, attention, feed_forward, position=None):
        """Blocks that see both ways.

        Args:
            count: int.
            attention: `(name, **arguments) -> MultiHeadAttention`.
            feed_forward: `() -> FeedForward`.
            position: what acts inside attention, shared by all blocks, or None.
        """
        return [
            self.block(
                f"encoder_block_{i}", attention("attention", position=position), feed_forward()
            )
            for i in range(count)
        ]

    def decoder_blocks(self, count, attention, feed_forward, position=None):
        """Causal blocks that attend to an encoder's output; as `encoder_blocks`."""
        return [
            self.block(
                f"decoder_block_{i}",
                attention("attention", causal=True, position=position),
                feed_forward(),
                attention("cross_attention"),
            )
            for i in range(count)
        ]

    def norm(self, name):
        return NORMS[self.norm_kind](epsilon=self.norm_epsilon, dtype=self.dtype, name=name)

    def head(self, vocab_size, hidden_dim, initializer, use_bias=False):
        """The head of a model whose embeddings have another table, built: only tasks call it."""
        head = keras.layers.Dense(
            vocab_size,
            use_bias=use_bias,
            kernel_initializer=initializer,
            dtype=self.dtype,
            name="head",
        )
        head.build((None, hidden_dim))
        return head
