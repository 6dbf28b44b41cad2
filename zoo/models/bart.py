"""BART: a Transformer with learned positions, trained to mend texts."""

from typing import Any

import keras

from zoo.arguments import Boolean, Choice, Integer
from zoo.layers.feedforward import ACTIVATIONS
from zoo.layers.initializers import Normal
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.parts import Parts


@keras.saving.register_keras_serializable("zoo")
class BART(EncoderDecoder):
    """BART, from the ids of two sequences to hidden states.

    Lewis et al., 2020, https://arxiv.org/abs/1910.13461: the Transformer with learned positions,
    GELU, and a norm after the embeddings; one table for both sides and the head; weights drawn from
    N(0, 0.02). mBART (Liu et al., 2020, https://arxiv.org/abs/2001.08210) is that with
    `pre_norm=True`. The published checkpoints have two rows before the first position, which
    nothing reads; here the tables start with the first token's.

    Args:
        vocab_size: int.
        num_layers: int, blocks of the encoder.
        num_heads: int, a divisor of `hidden_dim`.
        hidden_dim: int.
        mlp_dim: int, or None for `4 * hidden_dim`.
        num_decoder_layers: int, or None for `num_layers`.
        max_length: int, the longest source and the longest target in tokens.
        activation: str, the name of an activation.
        pre_norm: bool, whether norms stand before the sublayers, and at the end of both stacks.
        scaled: bool, whether embeddings are multiplied by sqrt(hidden_dim).
        dropout: float, on embeddings and residual branches, in training.
        attention_dropout: float, on attention probabilities. Above 0 it leaves the fused kernel.
        norm_epsilon: float.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments and result are those of `EncoderDecoder`: padding of a target goes on the right.
    """

    family = "bart"
    tasks = ("seq2seq", "text_classification")
    default_pooling = "last_tanh"
    separators_between = 2
    arguments = EncoderDecoder.arguments | {
        "num_decoder_layers": Integer(1, 2**8),
        "activation": Choice(*ACTIVATIONS),
        "pre_norm": Boolean(),
        "scaled": Boolean(),
    }

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        num_decoder_layers: int | None = None,
        max_length: int = 1024,
        activation: str = "gelu",
        pre_norm: bool = False,
        scaled: bool = False,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout, pre_norm, "layer", norm_epsilon)
        super().__init__(
            **both_stacks(
                parts, num_layers, num_decoder_layers, vocab_size, hidden_dim, mlp_dim, activation
            ),
            embedding_scale=hidden_dim**0.5 if scaled else 1.0,
            encoder_positions=parts.position_embedding(
                max_length, Normal(0.02), "encoder_positions"
            ),
            decoder_positions=parts.position_embedding(
                max_length, Normal(0.02), "decoder_positions"
            ),
            encoder_embedding_norm=parts.norm("encoder_embedding_norm"),
            decoder_embedding_norm=parts.norm("decoder_embedding_norm"),
            max_length=max_length,
            dtype=parts.dtype,
            **kwargs,
        )


def both_stacks(parts, num_layers, num_decoder_layers, vocab_size, hidden_dim, mlp_dim, activation):
    """What the models of this kind share of an `EncoderDecoder`'s arguments."""

    def make_attention(name, **arguments):
        return parts.attention(name, kernel_initializer=Normal(0.02), **arguments)

    def make_feed_forward():
        return parts.feed_forward(
            mlp_dim or 4 * hidden_dim, activation, kernel_initializer=Normal(0.02)
        )

    token_embedding = parts.token_embedding(vocab_size, hidden_dim, Normal(0.02))
    return {
        "token_embedding": token_embedding,
        "target_embedding": token_embedding,
        "embedding_dropout": parts.embedding_dropout(),
        "encoder_blocks": parts.encoder_blocks(num_layers, make_attention, make_feed_forward),
        "decoder_blocks": parts.decoder_blocks(
            num_decoder_layers or num_layers, make_attention, make_feed_forward
        ),
        "encoder_norm": parts.norm("encoder_norm") if parts.pre_norm else None,
        "decoder_norm": parts.norm("decoder_norm") if parts.pre_norm else None,
    }
