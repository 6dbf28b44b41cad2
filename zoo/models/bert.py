"""BERT: a stack of bidirectional, post-norm Transformer blocks."""

from typing import Any

import keras

from zoo.arguments import Choice, Integer
from zoo.layers.encoder_parts import SegmentEmbedding
from zoo.layers.feedforward import ACTIVATIONS
from zoo.layers.initializers import Normal
from zoo.models.base import ENCODER_TASKS, Backbone, token_inputs
from zoo.models.parts import Parts


@keras.saving.register_keras_serializable("zoo")
class BERT(Backbone):
    """BERT, from token ids to hidden states.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805: embeddings of tokens, positions and
    segments under a norm, then post-norm blocks with GELU; weights drawn from N(0, 0.02). The
    pooler and the heads belong to the tasks.

    Args:
        vocab_size: int.
        num_layers: int.
        num_heads: int, a divisor of `hidden_dim`.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        max_length: int, the longest sequence in tokens.
        num_segments: int, how many texts may be told apart in a row; 0 for none.
        activation: a name from `zoo.layers.feedforward.ACTIVATIONS`, of the feed-forward.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, and optionally `segment_ids`, int
            `(batch, length)`, and `padding_mask`, `(batch, length)`, True for real tokens; or
            the token ids alone.

    Returns:
        Hidden states `(batch, length, hidden_dim)`.
    """

    family = "bert"
    tasks = ENCODER_TASKS
    arguments = Backbone.arguments | {
        "num_segments": Integer(0, 2**8),
        "activation": Choice(*ACTIVATIONS),
    }

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 512,
        num_segments: int = 2,
        activation: str = "gelu",
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-12,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(
            dtype,
            num_heads,
            dropout,
            attention_dropout,
            pre_norm=False,
            norm_epsilon=norm_epsilon,
        )
        token_embedding = parts.token_embedding(vocab_size, hidden_dim, Normal(0.02))
        position_embedding = parts.position_embedding(max_length, Normal(0.02))
        embedding_norm = parts.norm("embedding_norm")
        embedding_dropout = parts.embedding_dropout()
        blocks = [
            parts.block(
                f"block_{i}",
                parts.attention(kernel_initializer=Normal(0.02)),
                parts.feed_forward(
                    mlp_dim or 4 * hidden_dim, activation, kernel_initializer=Normal(0.02)
                ),
            )
            for i in range(num_layers)
        ]

        optional_inputs = ("segment_ids", "padding_mask") if num_segments else ("padding_mask",)
        inputs = token_inputs(optional_inputs)
        x = token_embedding(inputs["token_ids"])
        x = x + position_embedding(x)
        if num_segments:
            segment_embedding = SegmentEmbedding(
                num_segments, initializer=Normal(0.02), dtype=parts.dtype, name="segment_embedding"
            )
            x = x + segment_embedding(x, segment_ids=inputs["segment_ids"])
        x = embedding_dropout(embedding_norm(x))
        for block in blocks:
            x = block(x, padding_mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=x, dtype=parts.dtype, **kwargs)

        self.optional_inputs = optional_inputs
        self.token_embedding = token_embedding
        self.position_embedding = position_embedding
        self.embedding_norm = embedding_norm
        self.blocks = blocks
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.hidden_dim = hidden_dim
        self.norm_epsilon = norm_epsilon
        self.transform_activation = activation  # of the masked language model's head

    @property
    def has_plain_head(self):
        """False: a bias is added to the product with the tied table."""
        return False
