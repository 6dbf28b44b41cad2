"""GPT-2: a stack of causal, pre-norm Transformer blocks."""

from typing import Any

import keras

from zoo.layers.initializers import Normal
from zoo.models.decoder import Decoder
from zoo.models.parts import Parts


@keras.saving.register_keras_serializable("zoo")
class GPT(Decoder):
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

    Call arguments and result are those of `Decoder`: padding goes on the right.
    """

    family = "gpt"
    tasks = ("causal_lm", "text_classification")

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 1024,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout)
        # GPT-2 scales residual projections by 1/sqrt(2N) so depth does not grow variance.
        residual_stddev = 0.02 / (2 * num_layers) ** 0.5

        super().__init__(
            token_embedding=parts.token_embedding(vocab_size, hidden_dim, Normal(0.02)),
            position_embedding=parts.position_embedding(max_length, Normal(0.01)),
            embedding_dropout=parts.embedding_dropout(),
            blocks=[
                parts.block(
                    f"block_{i}",
                    parts.attention(
                        causal=True,
                        kernel_initializer=Normal(0.02),
                        output_initializer=Normal(residual_stddev),
                    ),
                    parts.feed_forward(
                        mlp_dim or 4 * hidden_dim,
                        "gelu_tanh",
                        kernel_initializer=Normal(0.02),
                        output_initializer=Normal(residual_stddev),
                    ),
                )
                for i in range(num_layers)
            ],
            norm=parts.norm("norm"),
            max_length=max_length,
            dtype=parts.dtype,
            **kwargs,
        )
