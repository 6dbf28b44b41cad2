"""Attention as recurrent decoders had it first, and a decoder that is made with it."""

from typing import Any

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.base import Layer
from zoo.layers.dense import Dense
from zoo.layers.recurrent import LSTMLayer, symbolic_state
from zoo.layers.recurrent_dropout import LockedDropout
from zoo.layers.shared_context import gather_by_context
from zoo.ranges import RATE, SIZE, Choice

ATTENTIONS = ("luong", "bahdanau", None)


@keras.saving.register_keras_serializable("zoo")
class LuongAttention(Layer):
    """Multiplicative attention, `score = query . (W key)`.

    Luong et al., 2015, section 3.1, "general", https://arxiv.org/abs/1508.04025

    Args:
        units: int, the width of the queries.

    Call arguments:
        query: `(batch, length, units)`; the batch may be a multiple of that of the memory, whose
            rows then serve as many queries each.
        keys: `(batch, source_length, units)`, what `project` makes of the memory.
        memory: `(batch, source_length, dim)`.
        padding_mask: `(batch, source_length)`, True for real tokens, or None where all are.

    Returns:
        The mean of the memory by the scores' softmax, `(batch, length, dim)`.
    """

    rank = 3
    arguments = Layer.arguments | {
        "units": SIZE,
    }

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.key = Dense(units, use_bias=False, dtype=self.dtype_policy, name="key")

    def build(self, query_shape, keys_shape, memory_shape):
        self.key.build(memory_shape)

    def project(self, memory):
        """The keys of a memory: computed once, they serve every step."""
        return self.key(memory)

    def scores(self, query, keys):
        return ops.matmul(query, ops.transpose(keys, (0, 2, 1)))

    def call(self, query: Any, keys: Any, memory: Any, padding_mask: Any = None) -> Any:
        batch_size, length = ops.shape(query)[:2]
        query = gather_by_context(query, keys)
        scores = ops.cast(self.scores(query, keys), "float32")
        if padding_mask is not None:
            is_real = ops.cast(padding_mask, "bool")[:, None, :]
            scores = backend.hide(scores, is_real)
        # Keras' softmax warns of a source of one token.
        weights = ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))
        seen = ops.matmul(ops.cast(weights, memory.dtype), memory)
        return ops.reshape(seen, (batch_size, length, ops.shape(memory)[-1]))

    def compute_output_spec(self, query, keys, memory, padding_mask=None):
        return keras.KerasTensor((*query.shape[:2], memory.shape[-1]), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("zoo")
class BahdanauAttention(LuongAttention):
    """Additive attention, `score = v . tanh(W query + U key)`.

    Bahdanau et al., 2015, appendix A.1.2, https://arxiv.org/abs/1409.0473. Arguments, inputs and
    output are those of `LuongAttention`; it keeps `(batch, length, source_length, units)` in
    memory.
    """

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(units, **kwargs)
        self.query = Dense(units, dtype=self.dtype_policy, name="query")
        self.score = Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")

    def build(self, query_shape, keys_shape, memory_shape):
        super().build(query_shape, keys_shape, memory_shape)
        self.query.build(query_shape)
        self.score.build((None, self.units))

    def scores(self, query, keys):
        mixed = ops.tanh(self.query(query)[:, :, None, :] + keys[:, None, :, :])
        return self.score(mixed)[..., 0]


@keras.saving.register_keras_serializable("zoo")
class RecurrentDecoder(Layer):
    """A stack of LSTMs that starts from a source's states and looks at its memory at every step.

    With Luong's attention it looks after the stack has read a token; all tokens of a target are
    then read at once. With Bahdanau's it looks before, by the state that the last token left in
    the top layer, and the first layer reads what it saw beside the token; tokens are read one by
    one. Without attention it knows of the source what the states hold (Sutskever et al., 2014,
    https://arxiv.org/abs/1409.3215).

    Args:
        num_layers: int.
        units: int.
        attention: `"luong"`, `"bahdanau"` or None.
        dropout: float, on the output of each layer but the last, locked, and of the decoder.
        gate: that of `LSTMLayer`.

    Call arguments:
        x: `(batch, length, dim)`, embeddings of target tokens.
        states: a pair `(h, c)` of `(batch, units)` for each layer.
        keys: what `project` makes of the memory; None to let it be made.
        memory: `(batch, source_length, units)`, for the attention.
        padding_mask: `(batch, source_length)`, True for real tokens, or None where all are.

    Returns:
        `(batch, length, units)`, and the states after the last token.

    Raises:
        ValueError: an unknown attention.
    """

    rank = 3
    arguments = Layer.arguments | {
        "num_layers": SIZE,
        "units": SIZE,
        "attention": Choice(*ATTENTIONS),
        "dropout": RATE,
        "gate": LSTMLayer.arguments["gate"],
    }

    def __init__(
        self,
        num_layers: int,
        units: int,
        attention: str | None = "luong",
        dropout: float = 0.0,
        gate: str = "sigmoid",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        own = {"dtype": self.dtype_policy}
        self.lstms = [
            LSTMLayer(units, gate=gate, **own, name=f"lstm_{i}") for i in range(num_layers)
        ]
        self.kind = attention
        kinds = {"luong": LuongAttention, "bahdanau": BahdanauAttention}
        self.attention = kinds[attention](units, **own, name="attention") if attention else None
        # A linear readout keeps what has no attention what Sutskever et al. had.
        activation = "tanh" if attention else None
        self.readout = Dense(units, activation=activation, **own, name="readout")
        self.dropping = LockedDropout(dropout, **own, name="dropout")
        self.output_dropping = keras.layers.Dropout(dropout, **own, name="output_dropout")

    def build(self, x_shape, states_shape, keys_shape=None, memory_shape=None, **kwargs):
        dim = x_shape[-1]
        for i, lstm in enumerate(self.lstms):
            wider = self.units if i == 0 and self.kind == "bahdanau" else 0
            lstm.build((None, None, (self.units if i else dim) + wider))
        hidden_shape = (None, None, self.units)
        if self.attention is not None:
            self.attention.build(hidden_shape, hidden_shape, hidden_shape)
        self.readout.build((None, None, self.units * (2 if self.attention is not None else 1)))

    def project(self, memory):
        """The keys of a memory: computed once, they serve every step."""
        return self.attention.project(memory)

    def call(
        self,
        x: Any,
        states: Any,
        keys: Any = None,
        memory: Any = None,
        padding_mask: Any = None,
        training: bool = False,
    ) -> Any:
        ones = ops.ones((ops.shape(x)[0], 1, self.units), self.compute_dtype)
        masks = [self.dropping(ones, training=training) for _ in self.lstms[1:]]
        if self.attention is not None and keys is None:
            keys = self.project(memory)
        if self.kind == "bahdanau":
            hidden, states = self._read_one_by_one(x, states, masks, keys, memory, padding_mask)
        else:
            hidden, states = self._through_stack(x, states, masks)
            if self.attention is not None:
                seen = self.attention(hidden, keys, memory, padding_mask)
                hidden = ops.concatenate([seen, hidden], axis=-1)
        return self.output_dropping(self.readout(hidden), training=training), states

    def _through_stack(self, x, states, masks):
        """What the top layer makes of tokens, and each layer's state after them."""
        after = []
        for i, (lstm, state) in enumerate(zip(self.lstms, states, strict=True)):
            x, state = lstm(x if i == 0 else x * masks[i - 1], state=state)
            after.append(tuple(state))
        return x, after

    def _read_one_by_one(self, x, states, masks, keys, memory, padding_mask):
        def read(token, flat):
            states = list(zip(flat[::2], flat[1::2], strict=True))
            seen = self.attention(states[-1][0][:, None], keys, memory, padding_mask)
            token = ops.concatenate([token[:, None], seen], axis=-1)
            hidden, states = self._through_stack(token, states, masks)
            return ops.concatenate([seen, hidden], axis=-1)[:, 0], keras.tree.flatten(states)

        flat = keras.tree.flatten(states)
        if x.shape[1] == 1:
            hidden, flat = read(x[:, 0], flat)
            hidden = hidden[:, None]
        else:  # ops.scan wants outputs of the inputs' shape on TensorFlow
            _, hidden, flat = backend.rnn(read, x, flat)
        return hidden, list(zip(flat[::2], flat[1::2], strict=True))

    def compute_output_spec(self, x, states, *args, **kwargs):
        hidden = keras.KerasTensor((*x.shape[:2], self.units), dtype=self.compute_dtype)
        return hidden, [
            symbolic_state(x.shape[0], self.units, self.compute_dtype) for _ in self.lstms
        ]
