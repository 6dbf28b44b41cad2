"""What holds of every layer: it can be written down, and takes its place in a user's own model."""

import copy
import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

from zoo import layers

IDS = np.array([[1, 2, 3, 0], [4, 5, 6, 7]], "int32")
X = np.random.default_rng(0).normal(size=(2, 4, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)

LINEAR = {"kind": "linear", "factor": 2.0}


def normal():
    return keras.initializers.RandomNormal(stddev=0.5, seed=1)


def attention(**arguments):
    return layers.MultiHeadAttention(2, kernel_initializer=normal(), **arguments)


# A layer with objects for arguments where it takes them, and what it is called with.
LAYERS = {
    "ALiBi": lambda own: (attention(position=layers.ALiBi(2, **own), **own), [X]),
    "BahdanauAttention": lambda own: (layers.BahdanauAttention(8, **own), [X, X, X]),
    "Bias": lambda own: (layers.Bias(**own), [X]),
    "BidirectionalLSTM": lambda own: (
        layers.BidirectionalLSTM(4, kernel_initializer=normal(), **own),
        [X],
    ),
    "FeedForward": lambda own: (
        layers.FeedForward(16, "gelu_tanh", kernel_initializer=normal(), **own),
        [X],
    ),
    "GatedFeedForward": lambda own: (
        layers.GatedFeedForward(16, "gelu", kernel_initializer=normal(), **own),
        [X],
    ),
    "LSTMLayer": lambda own: (layers.LSTMLayer(4, recurrent_initializer=normal(), **own), [X]),
    "LockedDropout": lambda own: (layers.LockedDropout(0.5, **own), [X]),
    "LuongAttention": lambda own: (layers.LuongAttention(8, **own), [X, X, X]),
    "MeanPooling": lambda own: (layers.MeanPooling(**own), [X]),
    "LastToken": lambda own: (layers.LastToken(**own), [X]),
    "MultiHeadAttention": lambda own: (
        attention(num_kv_heads=1, scale=0.5, causal=True, output_initializer=normal(), **own),
        [X],
    ),
    "ParallelBlock": lambda own: (
        layers.ParallelBlock(
            attention(
                query_norm=keras.layers.RMSNormalization(name="query_norm", **own),
                key_norm=keras.layers.RMSNormalization(name="key_norm", **own),
                output_bias=False,
                causal=True,
                window=2,
                name="attention",
                **own,
            ),
            layers.SwiGLU(16, kernel_initializer=normal(), name="feed_forward", **own),
            **own,
        ),
        [X],
    ),
    "Pooler": lambda own: (layers.Pooler(**own), [X]),
    "PositionEmbedding": lambda own: (layers.PositionEmbedding(9, normal(), **own), [X]),
    "PredictionTransform": lambda own: (layers.PredictionTransform("gelu", **own), [X]),
    "RecurrentDecoder": lambda own: (
        layers.RecurrentDecoder(1, 8, "bahdanau", **own),
        [X, [[X[:, 0], X[:, 1]]], X, X],
    ),
    "RelativePositionBias": lambda own: (
        attention(position=layers.RelativePositionBias(2, **own), **own),
        [X],
    ),
    "RotaryEmbedding": lambda own: (
        attention(position=layers.RotaryEmbedding(1e4, LINEAR, rotary_dim=2, **own), **own),
        [X],
    ),
    "SegmentEmbedding": lambda own: (layers.SegmentEmbedding(8, normal(), **own), [X, IDS]),
    "SinusoidalPositions": lambda own: (layers.SinusoidalPositions(**own), [X]),
    "SwiGLU": lambda own: (layers.SwiGLU(16, kernel_initializer=normal(), **own), [X]),
    "TakePositions": lambda own: (layers.TakePositions(**own), [X, IDS % 4]),
    "TokenEmbedding": lambda own: (
        layers.TokenEmbedding(9, 4, embeddings_initializer=normal(), **own),
        [IDS],
    ),
    "TransformerBlock": lambda own: (
        layers.TransformerBlock(
            attention(position=layers.RotaryEmbedding(**own), name="attention", **own),
            layers.SwiGLU(16, kernel_initializer=normal(), name="feed_forward", **own),
            cross_attention=attention(name="cross_attention", **own),
            norm="rms",
            **own,
        ),
        [X, X],
    ),
    "WordDropout": lambda own: (layers.WordDropout(0.5, 9, **own), [X, IDS]),
}


@pytest.fixture(params=LAYERS)
def layer_and_inputs(request):
    return LAYERS[request.param]({"dtype": keras.DTypePolicy("float32")})


def outputs_of(layer, inputs):
    return [ops.convert_to_numpy(ops.stop_gradient(y)) for y in keras.tree.flatten(layer(*inputs))]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.backend_free
def test_the_table_holds_every_layer():
    classes = (getattr(layers, name) for name in layers.__all__)
    classes = {c for c in classes if inspect.isclass(c) and issubclass(c, keras.layers.Layer)}
    assert {c.__name__ for c in classes - {layers.AttentionPosition}} == set(LAYERS)


def test_comes_back_from_its_config(layer_and_inputs):
    layer, inputs = layer_and_inputs
    expected = outputs_of(layer, inputs)
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    again(*inputs)
    assert again.get_config() == layer.get_config()
    again.set_weights(layer.get_weights())
    assert_equal(outputs_of(again, inputs), expected)
    assert_equal(outputs_of(copy.deepcopy(layer), inputs), expected)


@pytest.mark.slow_to_compile
def test_is_saved_with_a_users_own_model(layer_and_inputs, tmp_path):
    layer, inputs = layer_and_inputs
    symbolic = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=(None, *x.shape[1:]), dtype=str(x.dtype)), inputs
    )
    model = keras.Model(keras.tree.flatten(symbolic), keras.tree.flatten(layer(*symbolic)))
    flat = keras.tree.flatten(inputs)
    expected = outputs_of(model, [flat])
    model.save(tmp_path / "model.keras")
    assert_equal(outputs_of(keras.models.load_model(tmp_path / "model.keras"), [flat]), expected)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_equal(outputs_of(clone, [flat]), expected)


def test_a_policy_comes_back_as_it_was():
    layer, _ = LAYERS["TransformerBlock"]({"dtype": keras.DTypePolicy("mixed_bfloat16")})
    again = layers.TransformerBlock.from_config(layer.get_config())
    assert again.dtype_policy.name == again.attention.dtype_policy.name == "mixed_bfloat16"
    assert again.attention.position.dtype_policy.name == "mixed_bfloat16"
    layer.trainable = False
    assert layers.TransformerBlock.from_config(layer.get_config()).trainable is False


def test_a_mask_of_zeros_is_passed_on_as_by_keras():
    ours = layers.TokenEmbedding(9, 4, mask_zero=True)
    model = keras.Sequential([keras.Input((None,), dtype="int32"), ours, keras.layers.LSTM(3)])
    short, padded = model(IDS[:1, :3]), model(IDS[:1])
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.stop_gradient(padded)),
        ops.convert_to_numpy(ops.stop_gradient(short)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_mean_of_many_positions_has_room(dtype):
    hidden = np.full((1, 4000, 2), 100.0, "float32")
    layer = layers.MeanPooling(dtype=dtype)
    for mask in (None, np.ones((1, 4000), bool)):
        mean = ops.convert_to_numpy(ops.cast(layer(hidden, padding_mask=mask), "float32"))
        np.testing.assert_allclose(mean, [[100, 100]])
