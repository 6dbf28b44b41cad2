"""Nothing is drawn at random that is loaded next."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_gpt
from zoo.layers import initializers


@pytest.fixture
def draws(monkeypatch):
    """The shapes that were drawn at random."""
    shapes, draw = [], keras.initializers.RandomNormal.__call__

    def noted(self, shape, dtype=None):
        shapes.append(tuple(shape))
        return draw(self, shape, dtype)

    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", noted)
    return shapes


def test_loading_weights_draws_nothing(tmp_path, draws):
    model = tiny_gpt()
    zoo.save(model, tmp_path / "saved")
    assert draws
    draws.clear()
    loaded = zoo.load(tmp_path / "saved")
    assert draws == []
    for weight, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), ops.convert_to_numpy(expected))
    zoo.load(tmp_path / "saved", weights=False)
    assert draws


def test_a_failure_inside_leaves_drawing_as_it_was():
    with pytest.raises(KeyError), initializers.weights_follow():
        raise KeyError
    values = ops.convert_to_numpy(initializers.Normal(2.0, seed=1)((4000,)))
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(2, rel=0.05)


def test_it_is_serialised_like_any_other():
    config = keras.initializers.serialize(initializers.Normal(0.5, seed=3))
    restored = keras.initializers.deserialize(config)
    assert (restored.stddev, restored.seed) == (0.5, 3)
