"""Marian: a Transformer for translation, as the toolkit of that name trains it."""

from typing import Any

import keras

from zoo.layers import SinusoidalPositions
from zoo.layers.embedding import TiedHead
from zoo.models.bart import BART, both_stacks
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.parts import Parts


@keras.saving.register_keras_serializable("zoo")
class Marian(EncoderDecoder):
    """Marian, from the ids of two sequences to hidden states.

    Junczys-Dowmunt et al., 2018, https://arxiv.org/abs/1804.00344: the Transformer with a bias on
    the logits, and with all sines of a position before all cosines. Pegasus (Zhang et al., 2020,
    https://arxiv.org/abs/1912.08777) is that with `pre_norm=True`.

    Arguments, call arguments and result are those of `BART`.
    """

    family = "marian"
    tasks = ("seq2seq",)
    arguments = BART.arguments

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        num_decoder_layers: int | None = None,
        max_length: int = 512,
        activation: str = "silu",
        pre_norm: bool = False,
        scaled: bool = True,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        parts = Parts(dtype, num_heads, dropout, attention_dropout, pre_norm, "layer", norm_epsilon)
        dtype = parts.dtype
        stacks = both_stacks(
            parts, num_layers, num_decoder_layers, vocab_size, hidden_dim, mlp_dim, activation
        )
        head = TiedHead(stacks["token_embedding"], use_bias=True, dtype=dtype, name="head")
        head.build()  # here, under its own name: only tasks call it

        def make_positions(name):
            return SinusoidalPositions(interleaved=False, dtype=dtype, name=name)

        super().__init__(
            **stacks,
            head=head,
            embedding_scale=hidden_dim**0.5 if scaled else 1.0,
            encoder_positions=make_positions("encoder_positions"),
            decoder_positions=make_positions("decoder_positions"),
            max_length=max_length,
            dtype=dtype,
            **kwargs,
        )
