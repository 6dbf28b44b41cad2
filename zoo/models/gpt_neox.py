"""GPT-NeoX: attention and feed-forward side by side, and positions on a part of each head."""

from typing import Any

import keras

from zoo.arguments import Boolean, Choice
from zoo.layers import RotaryEmbedding
from zoo.layers.feedforward import ACTIVATIONS
from zoo.layers.initializers import Normal
from zoo.models import rotary
from zoo.models.decoder import Decoder
from zoo.models.parts import Parts


@keras.saving.register_keras_serializable("zoo")
class GPTNeoX(Decoder):
    """GPT-NeoX and Pythia, from token ids to hidden states.

    Black et al., 2022, https://arxiv.org/abs/2204.06745; Biderman et al., 2023,
    https://arxiv.org/abs/2304.01373: layer norms, rotary positions on a quarter of each head, and
    blocks whose attention and feed-forward read the same. Weights are drawn from N(0, 0.02), the
    projections into the residual stream scaled down by sqrt(2 * num_layers).

    Args:
        vocab_size: int.
        num_layers: int.
        num_heads: int, a divisor of `hidden_dim`.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        max_length: int, the longest sequence in tokens.
        rotary_dim: int, even: the first features of a head, which alone are turned; None for all.
        rotary_base: float.
        rotary_scaling: a dict that says how positions are stretched, such as
            `{"kind": "linear", "factor": 2.0}`; see `zoo.layers.rotary`. None for not at all.
        parallel: bool, whether attention and feed-forward stand side by side, and not one after the
            other.
        activation: a name from `zoo.layers.feedforward.ACTIVATIONS`, of the feed-forward.
        attention_bias: bool.
        tied: bool, whether the table of tokens is the head, too.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments and result are those of `Decoder`: padding goes on the right.
    """

    family = "gpt_neox"
    tasks = ("causal_lm", "text_classification")
    arguments = (
        Decoder.arguments
        | rotary.ARGUMENTS
        | {
            "parallel": Boolean(),
            "activation": Choice(*ACTIVATIONS),
            "attention_bias": Boolean(),
            "tied": Boolean(),
        }
    )

    @classmethod
    def check_together(cls, arguments, source):
        super().check_together(arguments, source)
        rotary.check_rotary(arguments, source)

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 2048,
        rotary_dim: int | None = None,
        rotary_base: float = 10_000.0,
        rotary_scaling: dict | None = None,
        parallel: bool = True,
        activation: str = "gelu",
        attention_bias: bool = True,
        tied: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout, norm_epsilon=norm_epsilon)
        # GPT-2 scales residual projections by 1/sqrt(2N) so depth does not grow variance.
        initializers = {
            "kernel_initializer": Normal(0.02),
            "output_initializer": Normal(0.02 / (2 * num_layers) ** 0.5),
        }
        position = RotaryEmbedding(
            rotary_base, rotary_scaling, rotary_dim, dtype=parts.dtype, name="position"
        )

        def make_block(i):
            attention = parts.attention(
                causal=True, position=position, use_bias=attention_bias, **initializers
            )
            feed_forward = parts.feed_forward(mlp_dim or 4 * hidden_dim, activation, **initializers)
            make = parts.parallel_block if parallel else parts.block
            return make(f"block_{i}", attention, feed_forward)

        super().__init__(
            token_embedding=parts.token_embedding(vocab_size, hidden_dim, Normal(0.02)),
            embedding_dropout=parts.embedding_dropout(),
            blocks=[make_block(i) for i in range(num_layers)],
            norm=parts.norm("norm"),
            head=None if tied else parts.head(vocab_size, hidden_dim, Normal(0.02)),
            max_length=max_length,
            dtype=parts.dtype,
            **kwargs,
        )
