"""BERT, RoBERTa and DistilBERT."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_backbone, with_weights

FAMILIES = {
    "bert": zoo.models.BERT,
    "roberta": zoo.models.RoBERTa,
    "distilbert": zoo.models.DistilBERT,
}
IDS = np.array([[2, 9, 8, 7, 3, 6, 5, 3], [2, 9, 8, 7, 3, 0, 0, 0]], "int32")
MASK = IDS > 0


def hidden(model, inputs):
    return ops.convert_to_numpy(model(inputs))


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return with_weights(tiny_backbone(FAMILIES[request.param], num_layers=2))


def test_padding_changes_nothing(model):
    padded = hidden(model, {"token_ids": IDS, "padding_mask": MASK})
    alone = hidden(model, IDS[1:, :5])
    np.testing.assert_allclose(padded[1, :5], alone[0], rtol=1e-4, atol=1e-5)


def test_every_position_sees_every_other(model):
    changed = IDS.copy()
    changed[0, -1] = 11
    before, after = hidden(model, IDS)[0], hidden(model, changed)[0]
    assert (np.abs(before - after).max(axis=-1) > 1e-6).all()


def test_config_makes_the_same_model(model):
    other = type(model).from_config(model.get_config())
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(hidden(model, IDS), hidden(other, IDS))


def test_segments_are_zeros_where_they_are_left_out():
    model = with_weights(tiny_backbone())
    zeros, ones = np.zeros_like(IDS), np.ones_like(IDS)
    left_out = hidden(model, IDS)
    np.testing.assert_array_equal(left_out, hidden(model, {"token_ids": IDS, "segment_ids": zeros}))
    assert np.abs(left_out - hidden(model, {"token_ids": IDS, "segment_ids": ones})).max() > 1e-2


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_near(dtype):
    single = with_weights(tiny_backbone(), scale=0.1)
    half = with_weights(tiny_backbone(dtype=dtype), scale=0.1)
    seen = ops.convert_to_numpy(ops.cast(half({"token_ids": IDS, "padding_mask": MASK}), "float32"))
    expected = hidden(single, {"token_ids": IDS, "padding_mask": MASK})
    np.testing.assert_allclose(seen, expected, atol=0.1)


def test_a_saved_backbone_comes_back(tmp_path):
    model = with_weights(tiny_backbone())
    model.save(tmp_path / "bert.keras")
    other = keras.saving.load_model(tmp_path / "bert.keras")
    np.testing.assert_array_equal(hidden(model, IDS), hidden(other, IDS))
