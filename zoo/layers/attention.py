"""Multi-head attention: one layer for self, cross, grouped-query, causal and cached use."""

from typing import Any

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers import masks
from zoo.layers.base import Layer, opened
from zoo.layers.dense import Dense, as_rows
from zoo.layers.grouped_heads import fold, fold_rows, unfold
from zoo.layers.shared_context import gather_by_context
from zoo.layers.watching import show
from zoo.ranges import POSITIVE, RATE, SIZE, Boolean, Instance


@keras.saving.register_keras_serializable("zoo")
class MultiHeadAttention(Layer):
    """`softmax(scale * Q K^T) V` in several heads at once.

    Vaswani et al., 2017, https://arxiv.org/abs/1706.03762; grouped queries: Ainslie et al., 2023,
    https://arxiv.org/abs/2305.13245.

    The scores are left to the backend's fused kernel, without a causal mask in memory when
    nothing is padded. They are written out for `dropout` on the attention probabilities, in
    training, and on the CPU by JAX, which has no such kernel, and by PyTorch in half precision,
    where its kernel is the slower one. Keys and values that serve several heads are not repeated.

    Padding on the right of what a causal layer reads needs no `padding_mask`, which would be a
    causal mask in memory: no real token sees what comes after it.

    Args:
        num_heads: int, the number of query heads.
        num_kv_heads: int, the number of key and value heads, a divisor of `num_heads`; None for
            as many as `num_heads`.
        head_dim: int, or None for `hidden_dim / num_heads`.
        causal: bool, whether a query sees only keys up to its own position.
        window: int, how many positions a causal query sees, its own among them; None for all.
        position: a `RotaryEmbedding`, `ALiBi` or `RelativePositionBias` layer, or None.
        query_norm, key_norm: layers that norm each head's queries and keys, or None (Dehghani et
            al., 2023, https://arxiv.org/abs/2302.05442).
        dropout: float, the rate on the attention probabilities.
        use_bias: bool, for the projections.
        output_bias: bool, for that of the output; None for `use_bias`.
        scale: float, what the products of queries and keys are multiplied by; None for
            `1 / sqrt(head_dim)`.
        kernel_initializer: for the query, key and value kernels.
        output_initializer: for the output kernel; None for `kernel_initializer`.

    Call arguments:
        x: `(batch, length, hidden_dim)`, the queries, and the keys and values too if there is no
            `context`.
        context: `(batch, context_length, context_dim)`, what cross-attention reads.
        padding_mask: `(batch, key_length)`, True for keys that are real tokens.
        attention_mask: `(1 or batch, 1 or num_heads, query_length, key_length)`, True for what may
            be seen, where the other masks allow it too.
        cache: `(keys, values)` as made by `make_cache`, each
            `(batch, num_kv_heads, cache_length, head_dim)`. It is used up by the call, which may
            write into it: go on with the one that is returned. A cross-attention's cache is what
            `project_context` returns; no `context` is given then. Without a `position` it may have
            fewer rows: each then serves equally many of `x`, one after the other.
        start: position of `x[:, 0]` in the cache, an int or `(batch,)` int tensor. The int 0
            says that the cache is still empty: the new tokens then attend to each other alone.

    Returns:
        `(batch, length, hidden_dim)`; with a cache, the pair of that and the updated cache.

    Raises:
        ValueError: if the head counts do not divide, or a call argument does not fit.
    """

    rank = 3
    arguments = Layer.arguments | {
        "num_heads": SIZE,
        "num_kv_heads": SIZE,
        "head_dim": SIZE,
        "causal": Boolean(),
        "window": SIZE,
        "position": Instance(keras.layers.Layer, "layer"),
        "query_norm": Instance(keras.layers.Layer, "layer"),
        "key_norm": Instance(keras.layers.Layer, "layer"),
        "dropout": RATE,
        "use_bias": Boolean(),
        "output_bias": Boolean(),
        "scale": POSITIVE,
    }

    def __init__(
        self,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        causal: bool = False,
        window: int | None = None,
        position: keras.layers.Layer | None = None,
        query_norm: keras.layers.Layer | None = None,
        key_norm: keras.layers.Layer | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_bias: bool | None = None,
        scale: float | None = None,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.head_dim = head_dim
        self.causal = causal
        self.window = window
        self.position = position
        self.query_norm = query_norm
        self.key_norm = key_norm
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_bias = use_bias if output_bias is None else output_bias
        self.scale = scale
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer or kernel_initializer)
        if num_heads % self.num_kv_heads:
            raise ValueError(
                "Each key/value head serves the same number of query heads, so num_heads must be "
                f"a multiple of num_kv_heads; got {num_heads} and {self.num_kv_heads}."
            )
        if window is not None and not causal:
            raise ValueError(f"A window needs causal=True; got window={window} with causal=False.")
        if dropout:
            self.probability_dropout = keras.layers.Dropout(
                dropout, dtype=self.dtype_policy, name="probability_dropout"
            )

    def build(self, x_shape, context_shape=None):
        hidden_dim = x_shape[-1]
        if self.head_dim is None:
            if hidden_dim % self.num_heads:
                raise ValueError(
                    f"hidden_dim must be a multiple of num_heads; got {hidden_dim} and "
                    f"{self.num_heads}. Change one of them, or pass head_dim."
                )
            self.head_dim = hidden_dim // self.num_heads
        query_dim = self.num_heads * self.head_dim
        key_value_dim = 2 * self.num_kv_heads * self.head_dim
        self.is_cross = context_shape is not None
        if self.is_cross:
            self.query = self._dense(query_dim, "query", x_shape)
            self.key_value = self._dense(key_value_dim, "key_value", context_shape)
        else:
            self.qkv = self._dense(query_dim + key_value_dim, "qkv", x_shape)
        self.output_projection = self._dense(
            hidden_dim,
            "output",
            (*x_shape[:-1], query_dim),
            use_bias=self.output_bias,
            kernel_initializer=self.output_initializer,
        )
        for layer in (self.position, self.query_norm, self.key_norm):
            if layer is not None and not layer.built:
                layer.build((*x_shape[:-1], self.num_heads, self.head_dim))

    def _dense(self, units, name, input_shape, **others):
        usual = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        layer = Dense(units, **usual | others, dtype=self.dtype_policy, name=name)
        layer.build(input_shape)
        return layer

    def call(
        self,
        x: Any,
        context: Any = None,
        padding_mask: Any = None,
        attention_mask: Any = None,
        cache: Any = None,
        start: Any = 0,
        training: bool | None = None,
    ) -> Any:
        cache = opened(cache)
        self._check_context(context, cache)
        if self.is_cross:
            query = self._split_heads(self.query(as_rows(x)), self.num_heads, x)
            cached = self.project_context(context) if cache is None else cache
            if cache is not None and self.position is None:
                query = gather_by_context(query, cached[0])
            key, value = _swap(cached[0]), _swap(cached[1])
            query = ops.cast(query, key.dtype)
        else:
            query, key, value = self._project(x, start)
            if cache is not None:
                cache = _write(cache[0], _swap(key), start), _write(cache[1], _swap(value), start)
                if not _is_zero(start):
                    key, value = _swap(cache[0]), _swap(cache[1])
                    query = ops.cast(query, key.dtype)
        show(self, query=query, key=key, value=value)
        if padding_mask is not None:
            padding_mask = masks.padding_mask_to_attention(padding_mask)
        if attention_mask is not None:
            attention_mask = ops.cast(attention_mask, "bool")
        mask = masks.combine_masks(padding_mask, attention_mask)
        attended = self._attend(query, key, value, mask, start, training)
        rows = ops.reshape(attended, (-1, self.num_heads * self.head_dim))
        output = ops.reshape(self.output_projection(rows), ops.shape(x))
        return output if cache is None else (output, cache)

    def _check_context(self, context, cache):
        if self.is_cross and context is None and cache is None:
            raise ValueError(
                f"{self.name} is a cross-attention, as its first call made it: pass the context "
                "that it reads, or the cache that project_context makes of one."
            )
        if context is not None and not self.is_cross:
            raise ValueError(
                f"{self.name} is a self-attention, as its first call made it: it reads no context. "
                "Make another layer for cross-attention."
            )

    def project_context(self, context):
        """Keys and values of a cross-attention, `(batch, num_kv_heads, context_length, head_dim)`
        each: computed once, they serve every decoding step.
        """
        key, value = ops.split(self.key_value(as_rows(context)), 2, axis=-1)
        key = self._split_heads(key, self.num_kv_heads, context)
        return _swap(key), _swap(self._split_heads(value, self.num_kv_heads, context))

    def make_cache(self, batch_size, length):
        """Empty `(keys, values)` for `length` positions, in `zoo.backends`' dtype for them."""
        if not self.built:
            raise ValueError("The layer does not know its head_dim yet: call or build it first.")
        shape = (batch_size, self.num_kv_heads, length, self.head_dim)
        dtype = backend.cache_dtype(self.compute_dtype)
        return ops.zeros(shape, dtype), ops.zeros(shape, dtype)

    def _project(self, x, start):
        query, key, value = self._parts(self.qkv(as_rows(x)))
        query = self._split_heads(query, self.num_heads, x)
        key = self._split_heads(key, self.num_kv_heads, x)
        value = self._split_heads(value, self.num_kv_heads, x)
        if self.query_norm is not None:
            query = self.query_norm(query)
        if self.key_norm is not None:
            key = self.key_norm(key)
        if self.position is not None:
            query, key = (  # a position of another dtype policy answers in that
                ops.cast(self.position.rotate(x, start=start), self.compute_dtype)
                for x in (query, key)
            )
        return query, key, value

    def _attend(self, query, key, value, mask, start, training):
        """What queries `(batch, length, heads, head_dim)` make of keys and values."""
        query_length, key_length = ops.shape(query)[1], ops.shape(key)[1]
        bias = None
        if self.position is not None:
            bias = self.position.bias(query_length, key_length, start=start, query=query, key=key)
        drop = bool(training) and self.dropout > 0
        write_out = drop or backend.writes_attention_out(query, key_length)
        is_causal = self.causal and not self.is_cross
        hides = not isinstance(key_length, int) or key_length > (self.window or key_length)
        window = self.window if hides else None
        # The kernel's own causal mask needs queries and keys to start together.
        is_plain = is_causal and _is_zero(start) and window is mask is bias is None
        if is_plain and not write_out:
            attended = backend.attention(query, key, value, is_causal=True, scale=self.scale)
            return ops.cast(attended, self.compute_dtype)
        if mask is not None:  # a causal mask leaves each query something to see
            seen = masks.causal_mask(query_length, key_length, start, window) if is_causal else None
            mask = masks.open_empty_rows(masks.combine_masks(seen, mask))
        elif is_causal:
            mask = masks.causal_mask(query_length, key_length, start, window)
        groups = self.num_heads // self.num_kv_heads
        query = fold(query, groups)
        bias, mask = (fold_rows(x, groups, query_length) for x in (bias, mask))
        if write_out:
            attended = self._attend_in_the_open(query, key, value, bias, mask, drop)
        else:
            attended = backend.attention(query, key, value, bias, mask, scale=self.scale)
        return unfold(ops.cast(attended, self.compute_dtype), groups)

    def _attend_in_the_open(self, query, key, value, bias, mask, drop):
        if self.compute_dtype == "float16":  # XLA would add up in float16
            query, key, value = (ops.cast(x, "float32") for x in (query, key, value))
        scale = self.head_dim**-0.5 if self.scale is None else self.scale
        scores = ops.cast(ops.einsum("bqhd,bkhd->bhqk", query, key) * scale, "float32")
        if bias is not None:
            scores = scores + ops.cast(bias, "float32")
        if mask is not None:
            scores = backend.hide(scores, mask)
        # Keras warns of a softmax over one key.
        only_one = scores.shape[-1] == 1
        probabilities = ops.ones_like(scores) if only_one else ops.softmax(scores, axis=-1)
        probabilities = ops.cast(probabilities, value.dtype)
        if drop:
            probabilities = self.probability_dropout(probabilities, training=True)
        return ops.einsum("bhqk,bkhd->bqhd", probabilities, value)

    def _parts(self, rows):
        """Queries, keys and values, which are projected at once."""
        if self.num_kv_heads == self.num_heads:
            return ops.split(rows, 3, axis=-1)
        query_dim, kv_dim = self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim
        ends = query_dim, query_dim + kv_dim
        # On PyTorch, ops.split of a list would wait for the GPU.
        return rows[:, : ends[0]], rows[:, ends[0] : ends[1]], rows[:, ends[1] :]

    def _split_heads(self, projected, num_heads, x):
        """Projected rows of `x` to `(batch, length, num_heads, head_dim)`."""
        batch_size, length = ops.shape(x)[:2]  # which -1 would not find where there are no rows
        return ops.reshape(projected, (batch_size, length, num_heads, self.head_dim))

    def compute_output_spec(self, x, *args, cache=None, **kwargs):
        output = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        return output if cache is None else (output, opened(cache))


def _is_zero(start):
    return isinstance(start, int) and start == 0


def _swap(x):
    """Heads before positions or after: keys of one head lie together in a cache."""
    return ops.transpose(x, (0, 2, 1, 3))


def _write(cache, update, start):
    """Put `update` `(batch, heads, length, head_dim)` into `cache` at row positions `start`."""
    update = ops.cast(update, cache.dtype)
    if isinstance(start, int) or len(start.shape) == 0:
        return ops.slice_update(cache, (0, 0, start, 0), update)
    position = masks.positions(start, ops.shape(update)[2])
    return backend.write_rows(cache, update, position)
