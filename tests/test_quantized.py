"""Quantised models: near what they were, the same on every backend, saved and exported as such."""

import json
import os

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.families import ROWS, inputs, tiny
from tests.models import (
    random_ids,
    tiny_backbone,
    tiny_gpt,
    tiny_lstm,
    tiny_transformer,
    word_pieces,
)
from zoo.layers import quantized
from zoo.layers.dense import Dense
from zoo.layers.quantized import Quantized, count_as_floats
from zoo.models import FAMILIES
from zoo.tasks import TASKS


def rows_of(*shape):
    rows = np.random.default_rng(0).normal(size=shape).astype("float32")
    rows[1] = 0
    rows[2] *= 1e4
    return rows


@pytest.mark.parametrize("group", [None, 8, 16])
def test_numbers_are_nearest_within_half_a_step(group):
    rows = rows_of(5, 32)
    parts = dict(zip(("kept", *(["factor"] if group else []), "scale"),
                     quantized.quantized(rows, group), strict=True))  # fmt: skip
    kept = {"factor": None, **{name: ops.convert_to_tensor(part) for name, part in parts.items()}}
    seen = ops.convert_to_numpy(quantized.as_floats(**kept))
    step = np.broadcast_to(parts["scale"][:, None], rows.shape)
    if group:
        step = step * np.repeat(parts["factor"], group, axis=1)
        rounded = np.abs(seen - rows) <= step * 0.5001
        assert rounded.mean() > 0.9  # the others were cut, where that leaves less of an error
    else:
        assert (np.abs(seen - rows) <= step * 0.5001).all()
    assert (seen[1] == 0).all()
    x = rows_of(3, 32)
    product = ops.convert_to_numpy(quantized.product(ops.convert_to_tensor(x), **kept))
    whole = np.rint(x / (np.abs(x).max(1, keepdims=True).clip(1e-30) / 127))
    exact = whole @ seen.T * np.abs(x).max(1, keepdims=True) / 127
    np.testing.assert_allclose(product, exact, rtol=1e-4, atol=1e-4 * np.abs(exact).max())


def test_int4_halves_int8():
    rows = rows_of(4, 64)
    (eight, _), (four, factor, _) = quantized.quantized(rows), quantized.quantized(rows, 32)
    assert (eight.nbytes, four.nbytes, factor.nbytes) == (256, 128, 8)


@pytest.mark.slow_to_compile
@pytest.mark.parametrize(
    ("row", "mode", "group"),
    [(row, "int8", None) for row in ROWS]
    + [(row, "int4", 2) for row in ("gpt", "transformer", "lstm", "t5")],
)
def test_every_family_is_near_what_it_was_and_comes_back(row, mode, group, tmp_path):
    overrides = {"mlp_dim": 32} if "mlp_dim" in ROWS[row] else {}
    overrides |= {"inner_dim": 32} if "inner_dim" in ROWS[row] else {}
    family = FAMILIES[row.split(":")[0]]
    task = next(name for name in family.tasks if name in ("causal_lm", "seq2seq", "embedding"))
    labels = {}
    if row == "lstm: bidirectional":
        task, labels = "text_classification", {"labels": ["a", "b"]}
    model = TASKS[task](tiny(row, **overrides), **labels)
    batch = inputs(row)
    before = ops.convert_to_numpy(model(batch))
    numbers = model.backbone.count_params()
    model.quantize(mode, **({"group": group} if group else {}))
    after = ops.convert_to_numpy(model(batch))
    correlation = np.corrcoef(before.ravel(), after.ravel())[0, 1]
    assert correlation > (0.98 if mode == "int8" else 0.8)
    assert (after != before).any()
    assert model.quantization == (mode if group is None else f"int4/{group}")
    assert count_as_floats(model.backbone) == numbers
    zoo.save(model, tmp_path / "preset")
    again = zoo.load(tmp_path / "preset")
    np.testing.assert_array_equal(ops.convert_to_numpy(again(batch)), after)
    assert [w.path for w in again.weights] == [w.path for w in model.weights]


@pytest.fixture(scope="module")
def model():
    model = tiny_gpt(hidden_dim=32, num_layers=2)
    model.quantize("int8")
    return model


def test_what_is_generated_is_what_the_whole_model_says(model):
    ids = [5, 6, 7]
    for _ in range(6):
        row = np.zeros((1, 16), "int32")
        row[0, : len(ids)] = ids
        ids.append(int(ops.convert_to_numpy(model(row))[0, len(ids) - 1].argmax()))
    assert model.generate([5, 6, 7], max_new_tokens=6) == ids


GOLDEN = os.path.join(os.path.dirname(__file__), "data", "quantized.json")


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_every_backend_gives_the_same(mode):
    """Held to what PyTorch gave; a row's rounding can differ by a step where sums differ a bit."""
    with open(GOLDEN) as file:
        expected = np.array(json.load(file)[mode])
    np.testing.assert_allclose(golden_logits(mode), expected, atol=0.05)


def golden_logits(mode):
    model = tiny_gpt(hidden_dim=32, num_layers=2)
    model.quantize(mode)
    return ops.convert_to_numpy(model(random_ids(1, 5)))[0, :, :8]


@pytest.mark.parametrize("make", [tiny_lstm, tiny_transformer])
@pytest.mark.slow_to_compile
def test_a_preset_loads_quantised(make, tmp_path):
    model = make(hidden_dim=32, **({"inner_dim": 32} if make is tiny_lstm else {}))
    zoo.save(model, tmp_path / "whole")
    loaded = zoo.load(tmp_path / "whole", quantize="int8")
    model.quantize("int8")
    assert loaded.generate("The sea", 6) == model.generate("The sea", 6)
    zoo.save(loaded, tmp_path / "small")
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("whole", "small")]
    assert sizes[1] < 0.45 * sizes[0]
    config = json.loads((tmp_path / "small/config.json").read_text())
    assert config["quantization"] == "int8"
    (tmp_path / "small/config.json").write_text(json.dumps(config | {"quantization": "int3"}))
    with pytest.raises(ValueError, match="quantization must be int8, or int4/ and the size"):
        zoo.load(tmp_path / "small")


def test_another_task_takes_the_backbone_as_it_is(tmp_path):
    model = zoo.MaskedLM(tiny_backbone(hidden_dim=32), word_pieces())
    model.quantize("int8")
    zoo.save(model, tmp_path / "preset")
    classifier = zoo.load(tmp_path / "preset", task="text_classification", labels=["a", "b"])
    assert classifier.quantization == "int8"
    ids = random_ids(2, 5) % 100
    np.testing.assert_array_equal(
        ops.convert_to_numpy(classifier.backbone(ids)), ops.convert_to_numpy(model.backbone(ids))
    )
    with pytest.raises(ValueError, match=r"numbers have no gradients: train adapters"):
        classifier.fit(["the sea", "it was"], ["a", "b"])
    classifier.freeze("backbone")  # a new head, in floats, may learn
    classifier.fit(["the sea", "it was"], ["a", "b"], verbose=0)


@pytest.mark.slow_to_compile
def test_adapters_learn_over_quantised_weights():
    model = tiny_gpt(hidden_dim=32)
    model.quantize("int8")
    ids = random_ids(8, 17)
    with pytest.raises(ValueError, match="are quantised to int8, and whole numbers have no grad"):
        model.fit(ids, verbose=0)
    for layer in model.quantizable_layers():
        if isinstance(layer, Dense):
            layer.enable_lora(4)
    model.compile(keras.optimizers.Adam(1e-2))
    kept = [ops.convert_to_numpy(layer.weights[0]) for layer in model.quantizable_layers()]
    before = model.evaluate(ids, verbose=0, return_dict=True)["loss"]
    model.fit(ids, epochs=4, verbose=0)
    assert model.evaluate(ids, verbose=0, return_dict=True)["loss"] < before - 0.1
    for layer, numbers in zip(model.quantizable_layers(), kept, strict=True):
        if not isinstance(layer, Dense):
            np.testing.assert_array_equal(ops.convert_to_numpy(layer.weights[0]), numbers)


def test_bad_input_is_one_sentence(model, tmp_path):
    with pytest.raises(ValueError, match="is quantised to int8 already, from which nothing better"):
        model.quantize("int4")
    with pytest.raises(ValueError, match="quantize must be 'int8' or 'int4'; got 'float8'"):
        tiny_gpt().quantize("float8")
    with pytest.raises(ValueError, match="group must be a whole number of at least 2"):
        tiny_gpt().quantize("int4", group=1.5)
    narrow = tiny_gpt()
    with pytest.raises(ValueError, match=r"must divide the width of every matrix; \S+ has 16"):
        narrow.quantize("int4")
    assert narrow.quantization is None  # as it was
    with pytest.raises(ValueError, match="takes weights that are floats; these are quan"):
        zoo.save(model, tmp_path / "theirs", format="transformers")
    embedding = model.backbone.token_embedding
    with pytest.raises(ValueError, match="A quantised table takes no adapters"):
        embedding.enable_lora(2)
    assert all(isinstance(layer, Quantized) for layer in model.quantizable_layers())


if __name__ == "__main__":
    with open(GOLDEN, "w") as file:
        json.dump({mode: golden_logits(mode).round(4).tolist() for mode in ("int8", "int4")}, file)
