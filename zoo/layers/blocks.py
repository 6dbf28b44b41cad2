"""The Transformer block, put together from the layers that it is given."""

from typing import Any

import keras

from zoo.backends.recomputing import recomputable
from zoo.layers.base import Layer, opened
from zoo.layers.watching import show
from zoo.ranges import POSITIVE, RATE, Boolean, Choice, Instance

NORMS = {"layer": keras.layers.LayerNormalization, "rms": keras.layers.RMSNormalization}


@keras.saving.register_keras_serializable("zoo")
class TransformerBlock(Layer):
    """Attention and feed-forward, each with a residual connection and a norm.

    Post-norm, `x = norm(x + f(x))`, is Vaswani et al., 2017, https://arxiv.org/abs/1706.03762.
    Pre-norm, `x = x + f(norm(x))`, is Xiong et al., 2020, https://arxiv.org/abs/2002.04745; its
    stack ends with a norm of its own.

    ```python
    TransformerBlock(
        MultiHeadAttention(8, causal=True, name="attention"),
        FeedForward(2048, activation="gelu", name="feed_forward"),
    )
    ```

    Args:
        attention: a `MultiHeadAttention`, the self-attention.
        feed_forward: a `FeedForward` or `SwiGLU`.
        cross_attention: a second `MultiHeadAttention` that reads `context`, or None.
        pre_norm: bool.
        norm: `"layer"` or `"rms"`.
        norm_epsilon: float.
        dropout: float, the rate on each sublayer's output before it is added.

    Call arguments:
        x: `(batch, length, hidden_dim)`.
        context: `(batch, context_length, context_dim)`, for the cross-attention.
        padding_mask: `(batch, key_length)`, True for real tokens of `x`.
        attention_mask: what the self-attention may see besides; see `MultiHeadAttention`.
        context_padding_mask: `(batch, context_length)`, True for real tokens of `context`.
        cache: a dict from `make_cache`, or None.
        start: position of `x[:, 0]` in the cache, an int or `(batch,)` int tensor.

    Returns:
        `(batch, length, hidden_dim)`; with a cache, the pair of that and the updated cache.

    Raises:
        ValueError: an unknown norm; a context that nothing reads, or none where one is read.
    """

    rank = 3
    arguments = Layer.arguments | {
        "attention": Instance(keras.layers.Layer, "layer"),
        "feed_forward": Instance(keras.layers.Layer, "layer"),
        "cross_attention": Instance(keras.layers.Layer, "layer"),
        "pre_norm": Boolean(),
        "norm": Choice(*NORMS),
        "norm_epsilon": POSITIVE,
        "dropout": RATE,
    }

    def __init__(
        self,
        attention: keras.layers.Layer,
        feed_forward: keras.layers.Layer,
        cross_attention: keras.layers.Layer | None = None,
        pre_norm: bool = True,
        norm: str = "layer",
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.attention = attention
        self.feed_forward = feed_forward
        self.cross_attention = cross_attention
        self.pre_norm = pre_norm
        self.norm = norm
        self.norm_epsilon = norm_epsilon
        self.dropout = dropout
        self.attention_norm = self._make_norm("attention_norm")
        self.feed_forward_norm = self._make_norm("feed_forward_norm")
        if self.cross_attention is not None:
            self.cross_attention_norm = self._make_norm("cross_attention_norm")
        self.residual_dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="residual_dropout"
        )

    def _make_norm(self, name):
        return NORMS[self.norm](epsilon=self.norm_epsilon, dtype=self.dtype_policy, name=name)

    def build(self, x_shape, context_shape=None):
        self._check_context(context_shape is not None)
        self.attention_norm.build(x_shape)
        self.attention.build(x_shape)
        if self.cross_attention is not None:
            self.cross_attention_norm.build(x_shape)
            self.cross_attention.build(x_shape, context_shape)
        self.feed_forward_norm.build(x_shape)
        self.feed_forward.build(x_shape)

    @recomputable
    def call(
        self,
        x: Any,
        context: Any = None,
        padding_mask: Any = None,
        context_padding_mask: Any = None,
        attention_mask: Any = None,
        cache: Any = None,
        start: Any = 0,
        training: bool | None = None,
    ) -> Any:
        cache = None if cache is None else dict(opened(cache))
        self._check_context(context is not None, cache)
        entered = x

        def sublayer(name, x, layer, norm, **inputs):
            y = norm(x) if self.pre_norm else x
            if cache is not None and name in cache:
                y, cache[name] = layer(y, cache=cache[name], **inputs)
            else:
                y = layer(y, **inputs)
            x = x + self.residual_dropout(y, training=training)
            return x if self.pre_norm else norm(x)

        x = sublayer(
            "attention",
            x,
            self.attention,
            self.attention_norm,
            padding_mask=padding_mask,
            attention_mask=attention_mask,
            start=start,
            training=training,
        )
        if self.cross_attention is not None:
            x = sublayer(
                "cross_attention",
                x,
                self.cross_attention,
                self.cross_attention_norm,
                context=context,
                padding_mask=context_padding_mask,
                training=training,
            )
        x = sublayer("feed_forward", x, self.feed_forward, self.feed_forward_norm)
        show(self, entered=entered, left=x)
        return x if cache is None else (x, cache)

    def _check_context(self, has_context, cache=None):
        if has_context and self.cross_attention is None:
            raise ValueError(
                f"{self.name} has no cross-attention, so it reads no context. Make it with "
                "cross_attention=MultiHeadAttention(...), or pass no context."
            )
        is_cached = cache is not None and "cross_attention" in cache
        if self.cross_attention is not None and not (has_context or is_cached):
            raise ValueError(
                f"{self.name} has a cross-attention: pass the context that it reads, or a cache "
                "from make_cache(..., context=...)."
            )

    def make_cache(self, batch_size, length, context=None):
        """An empty self-attention cache and, with `context`, the cross-attention's full one."""
        cache = {"attention": self.attention.make_cache(batch_size, length)}
        self._check_context(context is not None)
        if self.cross_attention is not None:
            cache["cross_attention"] = self.cross_attention.project_context(context)
        return cache

    def compute_output_spec(self, x, *args, cache=None, **kwargs):
        output = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        return output if cache is None else (output, opened(cache))


@keras.saving.register_keras_serializable("zoo")
class ParallelBlock(TransformerBlock):
    """Attention and feed-forward side by side: `x + f(norm(x)) + g(norm(x))`, each with a norm.

    Wang and Komatsuzaki, 2021 (GPT-J); with two norms, Black et al., 2022 (GPT-NeoX),
    https://arxiv.org/abs/2204.06745.

    Args:
        attention, feed_forward, norm, norm_epsilon, dropout: those of `TransformerBlock`.

    Call arguments and result are those of `TransformerBlock`, without a context.
    """

    def __init__(
        self,
        attention: keras.layers.Layer,
        feed_forward: keras.layers.Layer,
        norm: str = "layer",
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(
            attention,
            feed_forward,
            norm=norm,
            norm_epsilon=norm_epsilon,
            dropout=dropout,
            **kwargs,
        )

    def build(self, x_shape):  # Keras wants an argument of `call` for each shape
        super().build(x_shape)

    @recomputable
    def call(
        self,
        x: Any,
        padding_mask: Any = None,
        attention_mask: Any = None,
        cache: Any = None,
        start: Any = 0,
        training: bool | None = None,
    ) -> Any:
        cache = None if cache is None else dict(opened(cache))
        attended = self.attention(
            self.attention_norm(x),
            padding_mask=padding_mask,
            attention_mask=attention_mask,
            cache=None if cache is None else cache["attention"],
            start=start,
            training=training,
        )
        if cache is not None:
            attended, cache["attention"] = attended
        fed = self.feed_forward(self.feed_forward_norm(x))
        x = x + self.residual_dropout(attended, training=training)
        x = x + self.residual_dropout(fed, training=training)
        return x if cache is None else (x, cache)
