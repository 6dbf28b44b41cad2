"""Llama, and the many that differ from it in a detail: Mistral, Qwen, SmolLM."""

from collections.abc import Sequence
from typing import Any

import keras

from zoo.arguments import LENGTH, Boolean, Choice, Flags, Integer
from zoo.layers import RotaryEmbedding, SwiGLU
from zoo.layers.feedforward import ACTIVATIONS
from zoo.layers.initializers import Normal
from zoo.models import rotary
from zoo.models.decoder import Decoder
from zoo.models.parts import Parts

BIASES = ("none", "qkv", "all")


@keras.saving.register_keras_serializable("zoo")
class Llama(Decoder):
    """Llama, from token ids to hidden states.

    Touvron et al., 2023, https://arxiv.org/abs/2302.13971: pre-norm blocks with RMS norms, rotary
    positions, gated feed-forwards, no biases. Weights are drawn from N(0, 0.02), the projections
    into the residual stream scaled down by sqrt(2 * num_layers).

    Args:
        vocab_size: int.
        num_layers: int.
        num_heads: int.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        num_kv_heads: int, heads of keys and values, a divisor of `num_heads`; None for as many.
        head_dim: int, even, or None for `hidden_dim / num_heads`.
        max_length: int, the longest sequence in tokens.
        rotary_base: float.
        rotary_scaling: a dict that says how positions are stretched, such as
            `{"kind": "linear", "factor": 2.0}`; see `zoo.layers.rotary`. None for not at all.
        rotary_pattern: a list of bools, repeated over the layers: which of them know positions.
            The others see an order in what earlier layers made of it (Kazemnejad et al., 2023,
            https://arxiv.org/abs/2305.19466).
        sliding_window: int, how many positions a token sees, its own among them (Mistral: Jiang et
            al., 2023, https://arxiv.org/abs/2310.06825); None for all.
        sliding_pattern: a list of bools, repeated over the layers: which of them have the window.
        attention_bias: `"none"`; `"qkv"` for queries, keys and values, as Qwen2 has; or `"all"`.
        mlp_bias: bool.
        qk_norm: bool, whether each head's queries and keys get an RMS norm, as in Qwen3.
        activation: a name from `zoo.layers.feedforward.ACTIVATIONS`, of the gates.
        tied: bool, whether the table of tokens is the head, too.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments and result are those of `Decoder`: padding goes on the right.
    """

    family = "llama"
    tasks = ("causal_lm", "text_classification")
    arguments = Decoder.arguments | {
        "num_kv_heads": Integer(1, 2**12),
        "head_dim": Integer(1, 2**12),
        "rotary_base": rotary.ARGUMENTS["rotary_base"],
        "rotary_scaling": rotary.ARGUMENTS["rotary_scaling"],
        "rotary_pattern": Flags(2**8),
        "sliding_window": LENGTH,
        "sliding_pattern": Flags(2**8),
        "attention_bias": Choice(*BIASES),
        "mlp_bias": Boolean(),
        "qk_norm": Boolean(),
        "activation": Choice(*ACTIVATIONS),
        "tied": Boolean(),
    }

    @classmethod
    def check_together(cls, arguments, source):
        super().check_together(arguments, source)
        rotary.check_groups(arguments, source)
        rotary.check_rotary(arguments, source)

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        max_length: int = 2048,
        rotary_base: float = 10_000.0,
        rotary_scaling: dict | None = None,
        rotary_pattern: Sequence[bool] = (True,),
        sliding_window: int | None = None,
        sliding_pattern: Sequence[bool] = (True,),
        attention_bias: str = "none",
        mlp_bias: bool = False,
        qk_norm: bool = False,
        activation: str = "silu",
        tied: bool = True,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-6,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(
            dtype, num_heads, dropout, attention_dropout, norm="rms", norm_epsilon=norm_epsilon
        )
        # GPT-2 scales residual projections by 1/sqrt(2N) so depth does not grow variance.
        residual = Normal(0.02 / (2 * num_layers) ** 0.5)
        position = RotaryEmbedding(rotary_base, rotary_scaling, dtype=parts.dtype, name="position")

        def make_block(i):
            attention = parts.attention(
                num_kv_heads=num_kv_heads,
                head_dim=head_dim,
                causal=True,
                window=sliding_window if at(sliding_pattern, i) else None,
                position=position if at(rotary_pattern, i) else None,
                query_norm=parts.norm("query_norm") if qk_norm else None,
                key_norm=parts.norm("key_norm") if qk_norm else None,
                use_bias=attention_bias != "none",
                output_bias=attention_bias == "all",
                kernel_initializer=Normal(0.02),
                output_initializer=residual,
            )
            feed_forward = SwiGLU(
                mlp_dim or 4 * hidden_dim,
                activation,
                use_bias=mlp_bias,
                kernel_initializer=Normal(0.02),
                output_initializer=residual,
                dtype=parts.dtype,
                name="feed_forward",
            )
            return parts.block(f"block_{i}", attention, feed_forward)

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


def at(pattern, i):
    """What a pattern that repeats has at a place."""
    return pattern[i % len(pattern)]
