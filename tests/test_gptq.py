"""int4 with texts to calibrate on: nearer to what a layer made of them than plain rounding."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import random_ids, tiny_backbone, tiny_gpt, tiny_transformer, word_pieces
from zoo.layers import quantized
from zoo.layers.gptq import gptq
from zoo.tasks.calibrating import products_of_inputs


def floats(parts):
    kept, factor, scale = map(ops.convert_to_tensor, parts)
    return ops.convert_to_numpy(quantized.as_floats(kept, factor, scale))


@pytest.mark.backend_free
@pytest.mark.parametrize("group", [16, 32])
def test_what_a_layer_makes_of_its_inputs_stays_nearer(group):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(24, 64)).astype("float32")
    rows[3] = 0
    # Inputs that go together, one that is always 0.
    x = (rng.normal(size=(500, 12)) @ rng.normal(size=(12, 64))).astype("float32")
    x += 0.1 * rng.normal(size=x.shape).astype("float32")
    x[:, 7] = 0
    plain, calibrated = quantized.quantized(rows, group), gptq(x.T @ x, rows, group)
    assert [(p.shape, p.dtype) for p in plain] == [(p.shape, p.dtype) for p in calibrated]
    errors = [np.square(x @ (floats(parts) - rows).T).mean() for parts in (plain, calibrated)]
    assert errors[1] < 0.5 * errors[0]
    assert (floats(calibrated)[3] == 0).all()


def test_inputs_without_relations_are_rounded_to_the_nearest():
    rows = np.random.default_rng(1).normal(size=(8, 32)).astype("float32")
    plain, calibrated = quantized.quantized(rows, 16), gptq(np.eye(32, dtype="float32"), rows, 16)
    for one, other in zip(plain, calibrated, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_products_are_those_of_a_layers_inputs():
    model = tiny_gpt(hidden_dim=16)
    ids = random_ids(3, 7)
    products = products_of_inputs(model, ids)
    block = model.backbone.blocks[0]
    x = model.backbone.token_embedding(ids) + model.backbone.position_embedding(
        model.backbone.token_embedding(ids)
    )
    x = ops.convert_to_numpy(block.attention_norm(x)).reshape(-1, 16)
    np.testing.assert_allclose(products[block.attention.qkv], x.T @ x, rtol=1e-4, atol=1e-3)
    assert len(products) == 4  # the table is not among them: it is read by rows, too


@pytest.mark.slow_to_compile
def test_every_kind_of_task_takes_texts(tmp_path):
    texts = ["The sea was calm.", "It was the best of times.", "Nobody spoke."]
    classifier = zoo.TextClassifier(tiny_backbone(hidden_dim=32), word_pieces(), labels=["a", "b"])
    masked = zoo.MaskedLM(tiny_backbone(hidden_dim=32), word_pieces())
    pairs = (tiny_transformer(hidden_dim=32), (texts, texts))
    for model, data in [
        (classifier, texts),
        (masked, texts),
        pairs,
        (tiny_gpt(hidden_dim=32), texts),
    ]:
        model.quantize("int4", calibration=data)
        assert model.quantization == "int4/32"
    zoo.save(model, tmp_path / "preset")
    again = zoo.load(tmp_path / "preset")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(random_ids(1, 5))), ops.convert_to_numpy(model(random_ids(1, 5)))
    )


def test_a_models_outputs_stay_nearer_on_such_texts():
    ids = random_ids(16, 32, seed=1) % 40  # few tokens: few directions
    before = ops.convert_to_numpy(tiny_gpt(hidden_dim=32)(ids))
    errors = []
    for calibration in (None, ids):
        model = tiny_gpt(hidden_dim=32)
        model.quantize("int4", calibration=calibration)
        errors.append(np.square(ops.convert_to_numpy(model(ids)) - before).mean())
    assert errors[1] < errors[0]


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="calibration is for int4: int8 is near enough"):
        tiny_gpt().quantize("int8", calibration=["text"])
    model = tiny_gpt(hidden_dim=32)
    with pytest.raises((TypeError, ValueError), match="whole numbers"):
        model.quantize("int4", calibration=3)
    assert model.quantization is None
    assert keras.backend.standardize_dtype(model.weights[0].dtype) == "float32"
