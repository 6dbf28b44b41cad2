"""The Transformer: an encoder that reads a source, and a decoder that writes a target."""

from typing import Any

import keras

from zoo.arguments import Boolean, Choice
from zoo.layers import PositionEmbedding, RelativePositionBias, SinusoidalPositions
from zoo.layers.initializers import Normal
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.parts import Parts

POSITIONS = ("sinusoidal", "learned", "relative")
RELATIVE_BUCKETS = 32  # of distances, in each of the two biases


@keras.saving.register_keras_serializable("zoo")
class Transformer(EncoderDecoder):
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

    Call arguments and result are those of `EncoderDecoder`: padding of a target goes on the right.

    Raises:
        ValueError: if `position` is none of these.
    """

    family = "transformer"
    tasks = ("seq2seq",)
    arguments = EncoderDecoder.arguments | {
        "position": Choice(*POSITIONS),
        "pre_norm": Boolean(),
        "tied": Boolean(),
    }

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 512,
        position: str = "sinusoidal",
        pre_norm: bool = False,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-6,
        tied: bool = True,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout, pre_norm, "layer", norm_epsilon)
        dtype = parts.dtype
        mlp_dim = mlp_dim or 4 * hidden_dim

        def make_feed_forward():
            return parts.feed_forward(
                mlp_dim, "relu", kernel_initializer=glorot(hidden_dim, mlp_dim)
            )

        def make_attention(name, **arguments):
            kernel_initializer = glorot(hidden_dim, hidden_dim)
            return parts.attention(name, kernel_initializer=kernel_initializer, **arguments)

        def make_embedding(name):
            return parts.token_embedding(vocab_size, hidden_dim, Normal(hidden_dim**-0.5), name)

        encoder_positions, encoder_bias = make_positions(
            position, "encoder", max_length, num_heads, dtype
        )
        decoder_positions, decoder_bias = make_positions(
            position, "decoder", max_length, num_heads, dtype
        )
        token_embedding = make_embedding("token_embedding")
        super().__init__(
            token_embedding=token_embedding,
            target_embedding=token_embedding if tied else make_embedding("target_embedding"),
            head=None
            if tied
            else parts.head(vocab_size, hidden_dim, glorot(hidden_dim, vocab_size), use_bias=True),
            embedding_scale=hidden_dim**0.5,
            embedding_dropout=parts.embedding_dropout(),
            encoder_positions=encoder_positions,
            encoder_blocks=parts.encoder_blocks(
                num_layers, make_attention, make_feed_forward, encoder_bias
            ),
            encoder_norm=parts.norm("encoder_norm") if pre_norm else None,
            decoder_positions=decoder_positions,
            decoder_blocks=parts.decoder_blocks(
                num_layers, make_attention, make_feed_forward, decoder_bias
            ),
            decoder_norm=parts.norm("decoder_norm") if pre_norm else None,
            max_length=max_length,
            dtype=dtype,
            **kwargs,
        )


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


def glorot(fan_in, fan_out):
    """Glorot and Bengio, 2010: outputs and gradients keep the variance of what comes in."""
    return Normal((2 / (fan_in + fan_out)) ** 0.5)
