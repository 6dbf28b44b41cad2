"""GPT-2: a stack of causal, pre-norm Transformer blocks."""

import keras

from zoo.layers import (
    FeedForward,
    MultiHeadAttention,
    PositionEmbedding,
    TokenEmbedding,
    TransformerBlock,
)
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone, token_inputs


@keras.saving.register_keras_serializable("zoo")
class GPT(Backbone):
    """GPT-2, from token ids to hidden states.

    Radford et al., 2019, "Language Models are Unsupervised Multitask Learners": learned
    positions, pre-norm blocks, a last norm, tanh-approximated GELU, weights drawn from
    N(0, 0.02) with the projections into the residual stream scaled down by sqrt(2 * num_layers).

    Args:
        vocab_size: int.
        num_layers: int.
        num_heads: int, a divisor of `hidden_dim`.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        max_length: int, the longest sequence in tokens.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, and optionally `padding_mask`,
            `(batch, length)`; or the token ids alone. Padding goes on the right, where causality
            alone already hides it: a mask then changes nothing but the padded rows themselves.

    Returns:
        Hidden states `(batch, length, hidden_dim)`.
    """

    family = "gpt"
    tasks = ("causal_lm",)

    def __init__(
        self,
        vocab_size,
        num_layers,
        num_heads,
        hidden_dim,
        mlp_dim=None,
        max_length=1024,
        dropout=0.1,
        attention_dropout=0.0,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        # GPT-2 scales residual projections by 1/sqrt(2N) so depth does not grow variance.
        residual_stddev = 0.02 / (2 * num_layers) ** 0.5

        token_embedding = TokenEmbedding(
            vocab_size,
            hidden_dim,
            embeddings_initializer=Normal(0.02),
            dtype=dtype,
            name="token_embedding",
        )
        position_embedding = PositionEmbedding(
            max_length, initializer=Normal(0.01), dtype=dtype, name="position_embedding"
        )
        embedding_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="embedding_dropout")
        blocks = [
            TransformerBlock(
                MultiHeadAttention(
                    num_heads,
                    causal=True,
                    dropout=attention_dropout,
                    kernel_initializer=Normal(0.02),
                    output_initializer=Normal(residual_stddev),
                    dtype=dtype,
                    name="attention",
                ),
                FeedForward(
                    mlp_dim or 4 * hidden_dim,
                    activation="gelu_tanh",
                    kernel_initializer=Normal(0.02),
                    output_initializer=Normal(residual_stddev),
                    dtype=dtype,
                    name="feed_forward",
                ),
                norm_epsilon=1e-5,
                dropout=dropout,
                dtype=dtype,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name="norm")

        inputs = token_inputs()
        x = token_embedding(inputs["token_ids"])
        x = embedding_dropout(x + position_embedding(x))
        for block in blocks:
            x = block(x, padding_mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=norm(x), dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.position_embedding = position_embedding
        self.blocks = blocks
        self.norm = norm
        self.vocab_size = vocab_size
        self.max_length = max_length

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
        x = self.token_embedding(token_ids)
        x = x + self.position_embedding(x, start=start)
        new_cache = []
        for block, block_cache in zip(self.blocks, cache, strict=True):
            x, block_cache = block(x, cache=block_cache, start=start)
            new_cache.append(block_cache)
        return self.norm(x), new_cache
