"""The position-wise half of a Transformer block."""

from typing import Any

import keras
from keras import ops

from zoo.backends import backend
from zoo.layers.base import Layer
from zoo.layers.dense import Dense, as_rows
from zoo.ranges import SIZE, Boolean


@keras.saving.register_keras_serializable("zoo")
def gelu_tanh(x: Any) -> Any:
    """GELU by its tanh approximation, which GPT-2 uses everywhere.

    Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415
    """
    return ops.gelu(x, approximate=True)


@keras.saving.register_keras_serializable("zoo")
def quick_gelu(x):
    """GELU by a sigmoid, as Hendrycks and Gimpel, 2016, have it, too."""
    return x * ops.sigmoid(1.702 * x)


@keras.saving.register_keras_serializable("zoo")
def relu_squared(x):
    """The square of a ReLU: So et al., 2021, https://arxiv.org/abs/2109.08668."""
    return ops.square(ops.relu(x))


OWN = {function.__name__: function for function in (gelu_tanh, quick_gelu, relu_squared)}
ACTIVATIONS = (
    *("gelu", "relu", "relu6", "silu", "tanh", "sigmoid", "mish", "linear"),
    *OWN,
)


def get_activation(name):
    """A Keras activation by name; `"gelu"` is exact, `"gelu_tanh"` is the approximation."""
    return OWN[name] if isinstance(name, str) and name in OWN else keras.activations.get(name)


@keras.saving.register_keras_serializable("zoo")
class FeedForward(Layer):
    """`W2 f(W1 x + b1) + b2`, the same at every position.

    Vaswani et al., 2017, section 3.3, https://arxiv.org/abs/1706.03762

    Args:
        mlp_dim: int, the inner width.
        activation: one of `ACTIVATIONS`, or any Keras activation's name.
        use_bias: bool.
        kernel_initializer: for the first kernel.
        output_initializer: for the second kernel; None for `kernel_initializer`.

    Call arguments:
        x: `(batch, length, hidden_dim)`; the result has the same shape.
    """

    arguments = Layer.arguments | {
        "mlp_dim": SIZE,
        "use_bias": Boolean(),
    }

    def __init__(
        self,
        mlp_dim: int,
        activation: str = "relu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        output_initializer: Any = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.mlp_dim = mlp_dim
        self.activation = get_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer or kernel_initializer)

    def build(self, x_shape):
        self.inner = self._dense(self.mlp_dim, "inner", self.kernel_initializer, x_shape)
        inner_shape = (*x_shape[:-1], self.mlp_dim)
        self.outer = self._dense(x_shape[-1], "outer", self.output_initializer, inner_shape)

    def _dense(self, units, name, initializer, input_shape):
        layer = Dense(
            units,
            use_bias=self.use_bias,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(input_shape)
        return layer

    def call(self, x: Any) -> Any:
        rows = self.outer(backend.recompute(self.activate, self.inner(as_rows(x))))
        return ops.reshape(rows, ops.shape(x))

    def activate(self, x):
        """From the first product to what the second takes."""
        return self.activation(x)

    def compute_output_shape(self, x_shape):
        return x_shape


@keras.saving.register_keras_serializable("zoo")
class GatedFeedForward(FeedForward):
    """`W3 (f(W1 x) * W2 x)`: a feed-forward whose inner units are gated.

    Shazeer, 2020, https://arxiv.org/abs/2002.05202. W1 and W2 are one fused kernel, so `inner`
    is `2 * mlp_dim` wide: first the gate, then the value.

    Args:
        mlp_dim: int, the inner width; two thirds of a plain feed-forward's keeps the size equal.
        activation, use_bias and others: those of `FeedForward`.
    """

    def __init__(
        self, mlp_dim: int, activation: str = "gelu_tanh", use_bias: bool = False, **kwargs
    ) -> None:
        super().__init__(mlp_dim, activation=activation, use_bias=use_bias, **kwargs)

    def build(self, x_shape):
        self.inner = self._dense(2 * self.mlp_dim, "inner", self.kernel_initializer, x_shape)
        inner_shape = (*x_shape[:-1], self.mlp_dim)
        self.outer = self._dense(x_shape[-1], "outer", self.output_initializer, inner_shape)

    def activate(self, x):
        gate, value = ops.split(x, 2, axis=-1)
        return self.activation(gate) * value


@keras.saving.register_keras_serializable("zoo")
class SwiGLU(GatedFeedForward):
    """A `GatedFeedForward` whose gate is `silu`."""

    def __init__(
        self, mlp_dim: int, activation: str = "silu", use_bias: bool = False, **kwargs
    ) -> None:
        super().__init__(mlp_dim, activation=activation, use_bias=use_bias, **kwargs)
