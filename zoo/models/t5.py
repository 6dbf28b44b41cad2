"""T5: one encoder-decoder for every task that can be said as a text."""

from typing import Any

import keras

from zoo.arguments import Boolean, Choice, Integer
from zoo.layers import GatedFeedForward, RelativePositionBias
from zoo.layers.embedding import TiedHead
from zoo.layers.feedforward import ACTIVATIONS
from zoo.layers.initializers import Normal
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.parts import Parts

GATED = "gated_"  # before the name of an activation


@keras.saving.register_keras_serializable("zoo")
class T5(EncoderDecoder):
    """T5, from the ids of two sequences to hidden states.

    Raffel et al., 2020, https://arxiv.org/abs/1910.10683: positions are a bias on the scores that
    all blocks of a stack share, scores are not divided by sqrt(head_dim), norms are RMS norms
    before the sublayers and nothing has a bias. T5 1.0 has ReLU and a tied head; T5 1.1 and Flan-T5
    have gated GELU (Shazeer, 2020, https://arxiv.org/abs/2002.05202) and a head of their own.

    Args:
        vocab_size: int.
        num_layers: int, blocks of the encoder.
        num_heads: int.
        hidden_dim: int.
        head_dim: int, or None for `hidden_dim / num_heads`.
        mlp_dim: int, or None for `4 * hidden_dim`.
        num_decoder_layers: int, or None for `num_layers`.
        max_length: int, the longest source and the longest target in tokens. No weight depends on
            it.
        activation: str, the name of an activation, after `"gated_"` for a `GatedFeedForward`.
        tied: bool, whether the table of embeddings, scaled by 1/sqrt(hidden_dim), is the head.
        num_buckets, max_distance: ints, of the bias; see `RelativePositionBias`.
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments and result are those of `EncoderDecoder`: padding of a target goes on the right.
    """

    family = "t5"
    tasks = ("seq2seq",)
    arguments = EncoderDecoder.arguments | {
        "head_dim": Integer(1, 2**12),
        "num_decoder_layers": Integer(1, 2**8),
        "activation": Choice(*ACTIVATIONS, *(GATED + name for name in ACTIVATIONS)),
        "tied": Boolean(),
        "num_buckets": Integer(4, 2**12),
        "max_distance": Integer(4, 2**24),
    }

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        head_dim: int | None = None,
        mlp_dim: int | None = None,
        num_decoder_layers: int | None = None,
        max_length: int = 512,
        activation: str = "relu",
        tied: bool = True,
        num_buckets: int = 32,
        max_distance: int = 128,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-6,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(
            dtype, num_heads, dropout, attention_dropout, norm="rms", norm_epsilon=norm_epsilon
        )
        dtype = parts.dtype
        head_dim, mlp_dim = head_dim or hidden_dim // num_heads, mlp_dim or 4 * hidden_dim
        # Unscaled scores keep a variance of 1 where queries and keys are smaller by head_dim^(1/4);
        # values are smaller with them, for which the output kernel makes up.
        inner, outer = hidden_dim**-0.5 * head_dim**-0.25, (num_heads * head_dim) ** -0.5

        def make_attention(name, **arguments):
            return parts.attention(
                name,
                head_dim=head_dim,
                use_bias=False,
                scale=1.0,
                kernel_initializer=Normal(inner),
                output_initializer=Normal(outer * head_dim**0.25),
                **arguments,
            )

        def make_feed_forward():
            initializers = {
                "kernel_initializer": Normal(hidden_dim**-0.5),
                "output_initializer": Normal(mlp_dim**-0.5),
            }
            if activation.startswith(GATED):
                name = activation.removeprefix(GATED)
                return GatedFeedForward(
                    mlp_dim, name, dtype=dtype, name="gated_feed_forward", **initializers
                )
            return parts.feed_forward(mlp_dim, activation, use_bias=False, **initializers)

        def make_bias(name, bidirectional):
            bias = RelativePositionBias(
                num_heads, num_buckets, max_distance, bidirectional, dtype=dtype, name=name
            )
            bias.build()  # here, under its own name: the blocks share it
            return bias

        token_embedding = parts.token_embedding(vocab_size, hidden_dim, Normal(1.0))
        if tied:
            head = TiedHead(token_embedding, scale=hidden_dim**-0.5, dtype=dtype, name="head")
            head.build()
        else:
            head = parts.head(vocab_size, hidden_dim, Normal(hidden_dim**-0.5))
        super().__init__(
            token_embedding=token_embedding,
            target_embedding=token_embedding,
            head=head,
            embedding_dropout=parts.embedding_dropout(),
            encoder_blocks=parts.encoder_blocks(
                num_layers,
                make_attention,
                make_feed_forward,
                make_bias("encoder_positions", bidirectional=True),
            ),
            encoder_norm=parts.norm("encoder_norm"),
            decoder_blocks=parts.decoder_blocks(
                num_decoder_layers or num_layers,
                make_attention,
                make_feed_forward,
                make_bias("decoder_positions", bidirectional=False),
            ),
            decoder_norm=parts.norm("decoder_norm"),
            max_length=max_length,
            dtype=dtype,
            **kwargs,
        )
