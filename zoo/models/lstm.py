"""The LSTM language model: what came before attention, and what it is measured against."""

from typing import Any

import keras

from zoo.arguments import RATE, Boolean, Integer
from zoo.layers import TokenEmbedding
from zoo.layers.initializers import Normal
from zoo.layers.recurrent import BidirectionalLSTM, LSTMLayer
from zoo.layers.recurrent_dropout import LockedDropout, WordDropout
from zoo.models.base import Backbone, token_inputs


@keras.saving.register_keras_serializable("zoo")
class LSTM(Backbone):
    """A stack of LSTMs, from token ids to hidden states.

    Merity et al., 2018, "Regularizing and Optimizing LSTM Language Models",
    https://arxiv.org/abs/1708.02182: tied embeddings, dropout whose masks stay the same along a
    row, dropout of whole words and of recurrent weights. Their rates on WikiText-2, with layers
    1150 wide over embeddings of 400, are `dropout` 0.2 to 0.4, `input_dropout` 0.65,
    `word_dropout` 0.1 and `weight_dropout` 0.5. Weights are drawn with the variance of their
    uniform distribution, and the forget gate's bias is 1. The table is drawn as N(0, 1 /
    hidden_dim), small enough for the head that it also is, and scaled by sqrt(hidden_dim) where it
    is read, as in Vaswani et al., 2017.

    Args:
        vocab_size: int.
        num_layers: int.
        hidden_dim: int, the width of embeddings and hidden states; even if `bidirectional`.
        inner_dim: int, the width of all layers but the last; None for `hidden_dim`.
        max_length: int, the longest row of training, of a text to be scored or of an encoder's
            input. What is generated, and its prompt, may be of any length.
        dropout: float, on each layer's output, in training.
        input_dropout: float, on the embeddings; None for `dropout`.
        word_dropout: float, the share of words whose embeddings are left out of a batch.
        weight_dropout: float, the share of recurrent weights that are left out of a batch.
        bidirectional: bool, whether each layer is two, of half the width, one of which reads from
            the right: an encoder, which cannot predict what comes next.
        dtype: a dtype policy such as `"float32"` or `"mixed_bfloat16"`.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, and optionally `padding_mask`,
            `(batch, length)`, True for real tokens, padding on the right; or the token ids alone.

    Returns:
        Hidden states `(batch, length, hidden_dim)`, to be ignored at padding.

    Raises:
        ValueError: a width that two directions cannot share.
    """

    family = "lstm"
    tasks = ("causal_lm", "text_classification", "token_classification")
    arguments = Backbone.arguments | {
        "inner_dim": Integer(1, 2**17),
        "input_dropout": RATE,
        "word_dropout": RATE,
        "weight_dropout": RATE,
        "bidirectional": Boolean(),
    }
    is_recurrent = True
    default_pooling = "mean"

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        hidden_dim: int,
        inner_dim: int | None = None,
        max_length: int = 1024,
        dropout: float = 0.1,
        input_dropout: float | None = None,
        word_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        dtype = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        widths = [inner_dim or hidden_dim] * (num_layers - 1) + [hidden_dim]
        check_widths(widths, bidirectional)

        token_embedding = TokenEmbedding(
            vocab_size,
            hidden_dim,
            embeddings_initializer=Normal(hidden_dim**-0.5),
            dtype=dtype,
            name="token_embedding",
        )
        word_dropping = WordDropout(word_dropout, vocab_size, dtype=dtype, name="word_dropout")
        input_dropping = LockedDropout(
            dropout if input_dropout is None else input_dropout, dtype=dtype, name="input_dropout"
        )
        cls, directions = (BidirectionalLSTM, 2) if bidirectional else (LSTMLayer, 1)
        blocks = [
            cls(
                width // directions,
                weight_dropout=weight_dropout,
                kernel_initializer=Normal((3 * width / directions) ** -0.5),
                recurrent_initializer=Normal((3 * width / directions) ** -0.5),
                dtype=dtype,
                name=f"lstm_{i}",
            )
            for i, width in enumerate(widths)
        ]
        dropouts = [
            LockedDropout(dropout, dtype=dtype, name=f"dropout_{i}") for i in range(num_layers)
        ]

        inputs = token_inputs()
        x = token_embedding(inputs["token_ids"]) * hidden_dim**0.5
        x = word_dropping(x, token_ids=inputs["token_ids"])
        x = input_dropping(x)
        for block, dropping in zip(blocks, dropouts, strict=True):
            x = block(x, padding_mask=inputs["padding_mask"])
            x = dropping(x if bidirectional else x[0])
        super().__init__(inputs=inputs, outputs=x, dtype=dtype, **kwargs)

        self.token_embedding = token_embedding
        self.word_dropping = word_dropping
        self.input_dropping = input_dropping
        self.blocks = blocks
        self.dropouts = dropouts
        self.vocab_size = vocab_size
        self.hidden_dim = hidden_dim
        self.max_length = max_length
        self.bidirectional = bidirectional

    @property
    def reads_on(self):
        """Whether a position sees only those before it."""
        return not self.bidirectional

    def make_cache(self, batch_size, length=None):
        """The state of each layer before anything is read; it has the same size at any `length`.

        Raises:
            ValueError: if the model is bidirectional.
        """
        if self.bidirectional:
            raise ValueError(
                "Going on from a state needs an LSTM that reads from left to right alone; this one "
                "is bidirectional. Make it with bidirectional=False."
            )
        return [block.make_state(batch_size) for block in self.blocks]

    def call_with_cache(self, token_ids, cache, start=0, padding_mask=None, training=False):
        """Hidden states of new tokens, which come after those that the cache has seen.

        Args:
            token_ids: int `(batch, length)`.
            cache: from `make_cache` or an earlier call.
            start: the position of `token_ids[:, 0]`, as for other backbones; a state needs none.
            padding_mask: `(batch, length)`, True for real tokens, padding on the right; the states
                returned are those after each row's last real token. None where all are real.
            training: bool, whether to drop out.

        Returns:
            Hidden states `(batch, length, hidden_dim)` and the updated cache.
        """
        x = self.token_embedding(token_ids) * self.hidden_dim**0.5
        x = self.word_dropping(x, token_ids=token_ids, training=training)
        x = self.input_dropping(x, training=training)
        new_cache = []
        for block, dropping, state in zip(self.blocks, self.dropouts, cache, strict=True):
            x, state = block(x, state=state, padding_mask=padding_mask, training=training)
            x = dropping(x, training=training)
            new_cache.append(state)
        return x, new_cache


def check_widths(widths, bidirectional):
    odd = [width for width in widths if width % 2]
    if bidirectional and odd:
        raise ValueError(
            "The two directions of a bidirectional LSTM have half the width each, so hidden_dim "
            f"and inner_dim must be even; got {odd[0]}."
        )
