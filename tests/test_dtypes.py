"""Training in less than float32: it learns, or is refused."""

import keras
import numpy as np
import pytest

import zoo
from tests.models import random_ids, tiny_backbone, word_pieces

VOCAB_SIZE = 300
TEXTS = ["The sea was calm.", "It was late!"] * 4
LABELS = ["a", "b"] * 4
IDS = random_ids(8, 17) // 8  # a skewed vocabulary, so that there is much to learn


def gpt(dtype):
    backbone = zoo.models.GPT(VOCAB_SIZE, 1, 2, 32, max_length=64, dropout=0.0, dtype=dtype)
    return zoo.CausalLM(backbone), (IDS[:, :-1], IDS[:, 1:])


def lstm(dtype):
    backbone = zoo.models.LSTM(VOCAB_SIZE, 1, 32, max_length=64, dropout=0.0, dtype=dtype)
    return zoo.CausalLM(backbone), (IDS[:, :-1], IDS[:, 1:])


def transformer(dtype):
    backbone = zoo.models.Transformer(VOCAB_SIZE, 1, 2, 32, max_length=64, dropout=0.0, dtype=dtype)
    inputs = {"token_ids": IDS, "decoder_token_ids": IDS[:, :-1]}
    return zoo.Seq2SeqLM(backbone), (inputs, IDS[:, 1:])


def classifier(dtype):
    backbone = tiny_backbone(hidden_dim=32, dtype=dtype)
    return zoo.TextClassifier(backbone, word_pieces(), ["a", "b"]), (TEXTS, LABELS)


MODELS = {"gpt": gpt, "lstm": lstm, "transformer": transformer, "classifier": classifier}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "dtype", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow_to_compile)]
)
def test_mixed_precision_learns(name, dtype):
    model, data = MODELS[name](dtype)
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(*data, batch_size=8, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    is_scaled = hasattr(model.optimizer, "inner_optimizer")
    assert is_scaled == (dtype == "mixed_float16")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_16_bits_are_read_and_not_trained(dtype):
    model, data = gpt(dtype)
    assert np.isfinite(model.evaluate(*data, verbose=0)).all()
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=f"must be float32.*dtype='mixed_{dtype}'"):
            train(*data)


def test_adapters_of_coarse_weights_are_trained():
    model, data = gpt("bfloat16")
    for layer in model.sublayers().values():
        layer.trainable = hasattr(layer, "lora_enabled") or "block" in layer.path
        if "block_0/" in layer.path and hasattr(layer, "enable_lora"):
            layer.enable_lora(2)
            layer.bias.trainable = False
        elif "norm" in layer.path or "embedding" in layer.path:
            layer.trainable = False
    model.compile(keras.optimizers.Adam(1e-2))
    losses = model.fit(*data, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.fixture
def coarse_floatx():
    keras.config.set_floatx("bfloat16")
    keras.config.set_dtype_policy("bfloat16")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("coarse_floatx")
@pytest.mark.parametrize("name", MODELS)
def test_sums_are_float32_whatever_floatx_is(name):
    model, data = MODELS[name]("mixed_bfloat16")
    exact, _ = MODELS[name]("float32")
    exact.set_weights(model.get_weights())
    for one in (model, exact):
        one.compile(keras.optimizers.SGD(0.0))
    coarse, fine = (
        one.fit(*data, batch_size=2, shuffle=False, verbose=0).history for one in (model, exact)
    )
    assert all(isinstance(value, float) for (value,) in coarse.values())
    np.testing.assert_allclose(coarse["loss"], fine["loss"], rtol=0.02)
    measured, expected = (one.evaluate(*data, verbose=0) for one in (model, exact))
    assert all(isinstance(value, float) for value in measured)
    np.testing.assert_allclose(measured[0], expected[0], rtol=0.02)


@pytest.mark.usefixtures("coarse_floatx")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.slow_to_compile
def test_metrics_count_more_tokens_than_16_bits_do(name):
    model, data = MODELS[name]("mixed_bfloat16")
    model.fit(*data, verbose=0)
    assert {v.dtype for metric in model.metrics for v in metric.variables} == {"float32"}
