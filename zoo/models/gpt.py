"""GPT-2: a stack of causal, pre-norm Transformer blocks."""

from typing import Any

import keras

from zoo.arguments import Boolean, Choice
from zoo.layers.feedforward import ACTIVATIONS
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
        activation: a name from `zoo.layers.feedforward.ACTIVATIONS`, of the feed-forward.
        scale_by_layer: bool, whether the scores of block i are divided by i + 1, too, as in
            Stanford's Mistral, which kept training in half precision stable.
        tied: bool, whether the table of the embeddings is that of the head, too.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments and result are those of `Decoder`: padding goes on the right.
    """

    family = "gpt"
    tasks = ("causal_lm", "text_classification")
    arguments = Decoder.arguments | {
        "activation": Choice(*ACTIVATIONS),
        "scale_by_layer": Boolean(),
        "tied": Boolean(),
    }

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 1024,
        activation: str = "gelu_tanh",
        scale_by_layer: bool = False,
        tied: bool = True,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout, norm_epsilon=norm_epsilon)
        plain_scale = (hidden_dim / num_heads) ** -0.5
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
                        scale=plain_scale / (i + 1) if scale_by_layer else None,
                        kernel_initializer=Normal(0.02),
                        output_initializer=Normal(residual_stddev),
                    ),
                    parts.feed_forward(
                        mlp_dim or 4 * hidden_dim,
                        activation,
                        kernel_initializer=Normal(0.02),
                        output_initializer=Normal(residual_stddev),
                    ),
                )
                for i in range(num_layers)
            ],
            norm=parts.norm("norm"),
            head=None if tied else parts.head(vocab_size, hidden_dim, Normal(0.02)),
            max_length=max_length,
            dtype=parts.dtype,
            **kwargs,
        )
