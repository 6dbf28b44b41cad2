"""The recurrent encoder-decoder, with the attention from which the Transformer came."""

from typing import Any

import keras
from keras import ops

from zoo.arguments import Boolean, Choice
from zoo.layers import TokenEmbedding
from zoo.layers.base import Layer
from zoo.layers.dense import Dense
from zoo.layers.initializers import Normal
from zoo.layers.recurrent import GATES, BidirectionalLSTM, LSTMLayer, symbolic_state
from zoo.layers.recurrent_attention import ATTENTIONS, RecurrentDecoder
from zoo.layers.recurrent_dropout import LockedDropout
from zoo.models.base import Backbone
from zoo.models.encoder_decoder import pair_inputs
from zoo.models.lstm import check_widths


@keras.saving.register_keras_serializable("zoo")
class LSTMSeq2Seq(Backbone):
    """LSTMs that read a source and write a target, from the ids of both to hidden states.

    Sutskever et al., 2014, https://arxiv.org/abs/1409.3215, where the decoder knows the source by
    the encoder's last state alone; Bahdanau et al., 2015, https://arxiv.org/abs/1409.0473, where it
    attends to every word; Luong et al., 2015, https://arxiv.org/abs/1508.04025, where it does so
    after its step and not before. Unlike theirs, one table embeds both languages and is the head,
    and gated units are LSTMs; the table is scaled by sqrt(hidden_dim) where it is read, as the
    Transformer's is. A bidirectional encoder's decoder starts from what its backward half
    says of the first token, as Bahdanau's does.

    Args:
        vocab_size: int, tokens of both languages together.
        num_layers: int, LSTMs of the encoder, and as many of the decoder.
        hidden_dim: int, the width of embeddings, layers and attention; even if `bidirectional`.
        attention: `"luong"`, `"bahdanau"` or None. Luong's trains faster: it reads all tokens of a
            target at once.
        bidirectional: bool, whether each layer of the encoder is two, of half the width, one of
            which reads from the right.
        max_length: int, the longest source and the longest target in tokens.
        dropout: float, on embeddings and between layers, locked, and before the head, in training.
        gate: `"sigmoid"`, or `"hard_sigmoid"` for weights of Keras before 2.3; see `LSTMLayer`.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments:
        inputs: those of `EncoderDecoder`. Padding goes on the right.

    Returns:
        Hidden states of the target, `(batch, target_length, hidden_dim)`.

    Raises:
        ValueError: an unknown attention, or a width that two directions cannot share.
    """

    family = "lstm_seq2seq"
    tasks = ("seq2seq",)
    arguments = Backbone.arguments | {
        "attention": Choice(*ATTENTIONS),
        "bidirectional": Boolean(),
        "gate": Choice(*GATES),
    }
    optional_inputs = ("padding_mask", "decoder_padding_mask")

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        hidden_dim: int,
        attention: str | None = "luong",
        bidirectional: bool = True,
        max_length: int = 512,
        dropout: float = 0.1,
        gate: str = "sigmoid",
        dtype: Any = None,
        **kwargs,
    ) -> None:
        check_widths([hidden_dim], bidirectional)
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        token_embedding = TokenEmbedding(
            vocab_size,
            hidden_dim,
            embeddings_initializer=Normal(hidden_dim**-0.5),
            dtype=dtype,
            name="token_embedding",
        )
        embedding_dropout = LockedDropout(dropout, dtype=dtype, name="embedding_dropout")
        encoder = RecurrentEncoder(
            num_layers, hidden_dim, bidirectional, dropout, gate, dtype=dtype, name="encoder"
        )
        decoder = RecurrentDecoder(
            num_layers, hidden_dim, attention, dropout, gate, dtype=dtype, name="decoder"
        )

        inputs = pair_inputs()
        x = embedding_dropout(token_embedding(inputs["token_ids"]) * hidden_dim**0.5)
        memory, states = encoder(x, padding_mask=inputs["padding_mask"])
        x = embedding_dropout(token_embedding(inputs["decoder_token_ids"]) * hidden_dim**0.5)
        x, _ = decoder(x, states, memory=memory, padding_mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=x, dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.encoder = encoder
        self.decoder = decoder
        self.vocab_size = vocab_size
        self.hidden_dim = hidden_dim
        self.max_length = max_length

    def encode(self, token_ids, padding_mask=None):
        """What the decoder reads of sources.

        Args:
            token_ids: int `(batch, source_length)`.
            padding_mask: `(batch, source_length)`, True for real tokens; None where all are.

        Returns:
            The memory `(batch, source_length, hidden_dim)`, and for each layer of the decoder the
            pair `(h, c)`, `(batch, hidden_dim)` each, that it starts from.
        """
        return self.encoder(self._embed(token_ids), padding_mask=padding_mask)

    def project_context(self, memory):
        """Keys of the attention, once a source for all steps, beside what they were made of.

        Args:
            memory: what `encode` returns.
        """
        sequence, states = memory
        context = {"states": [tuple(state) for state in states]}
        if self.decoder.attention is not None:
            context |= {"memory": sequence, "keys": self.decoder.project(sequence)}
        return context

    def make_cache(self, context, length, copies=1):
        """The states that targets start from; they have the same size at any `length`.

        Args:
            context: from `project_context`.
            length: int, of which nothing depends here.
            copies: int, targets of each source; those of one lie together in a batch.
        """
        # A decoding loop uses its cache up, and keeps its context.
        return [
            tuple(ops.copy(ops.repeat(part, copies, axis=0)) for part in state)
            for state in context["states"]
        ]

    def decode(self, token_ids, cache, start, context, padding_mask=None):
        """Hidden states of new target tokens, from the states that those before them left.

        Args:
            token_ids: int `(batch, length)`.
            cache: from `make_cache` or an earlier call.
            start: position of `token_ids[:, 0]`, as for the Transformer; a state needs none.
            context: from `project_context`.
            padding_mask: that of the source.

        Returns:
            Hidden states `(batch, length, hidden_dim)` and the updated cache.
        """
        return self.decoder(
            self._embed(token_ids),
            cache,
            keys=context.get("keys"),
            memory=context.get("memory"),
            padding_mask=padding_mask,
        )

    def _embed(self, token_ids):
        return self.token_embedding(token_ids) * self.hidden_dim**0.5


@keras.saving.register_keras_serializable("zoo")
class RecurrentEncoder(Layer):
    """A stack of LSTMs over a source, and the states that a decoder of it starts from.

    Args:
        num_layers, units, bidirectional, dropout, gate: see `LSTMSeq2Seq`.

    Call arguments:
        x: `(batch, source_length, dim)`.
        padding_mask: `(batch, source_length)`, True for real tokens, padding on the right.

    Returns:
        `(batch, source_length, units)`, to be ignored at padding, and for each layer of the
        decoder a pair of `(batch, units)`.
    """

    def __init__(
        self, num_layers: int, units: int, bidirectional: bool, dropout: float, gate: str, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.units = units
        self.bidirectional = bidirectional
        own = {"dtype": self.dtype_policy}
        cls, width = (BidirectionalLSTM, units // 2) if bidirectional else (LSTMLayer, units)
        self.lstms = [cls(width, gate=gate, **own, name=f"lstm_{i}") for i in range(num_layers)]
        self.dropping = LockedDropout(dropout, **own, name="dropout")
        if bidirectional:
            self.bridge = Dense(2 * num_layers * units, activation="tanh", **own, name="bridge")

    def build(self, x_shape):
        for i, lstm in enumerate(self.lstms):
            lstm.build((None, None, self.units if i else x_shape[-1]))
        if self.bidirectional:
            self.bridge.build((None, self.units // 2))

    def call(self, x: Any, padding_mask: Any = None, training: bool = False) -> Any:
        states = []
        for i, lstm in enumerate(self.lstms):
            x = self.dropping(x, training=training) if i else x
            if self.bidirectional:
                x = lstm(x, padding_mask=padding_mask, training=training)
            else:
                x, state = lstm(x, padding_mask=padding_mask, training=training)
                states.append(tuple(state))
        if self.bidirectional:
            parts = ops.split(self.bridge(x[:, 0, self.units // 2 :]), 2 * self.num_layers, axis=-1)
            states = list(zip(parts[::2], parts[1::2], strict=True))
        return x, states

    def compute_output_spec(self, x, padding_mask=None, training=False):
        sequence = keras.KerasTensor((*x.shape[:2], self.units), dtype=self.compute_dtype)
        return sequence, [
            symbolic_state(x.shape[0], self.units, self.compute_dtype) for _ in self.lstms
        ]
