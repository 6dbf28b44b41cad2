"""On TensorFlow, arrays are read without tf.data's tuning thread."""

import keras
import pytest

from tests.models import random_ids, tiny_gpt
from zoo.backends import backend

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow only")


def tuned_datasets(monkeypatch, run):
    """Whether tf.data may tune each dataset that `run` reads."""
    seen, stop = [], backend.stop_tuning

    def spy(iterator):
        stop(iterator)
        seen.append(iterator._distributed_dataset.options().autotune.enabled is not False)

    monkeypatch.setattr(backend, "stop_tuning", spy)
    run(tiny_gpt())
    return seen


def test_arrays_are_not_tuned(monkeypatch):
    ids = random_ids(4, 9)
    fit = tuned_datasets(
        monkeypatch, lambda model: model.fit(ids, verbose=0, validation_split=0.5, batch_size=2)
    )
    assert fit == [False, False]
    assert tuned_datasets(monkeypatch, lambda model: model.evaluate(ids, verbose=0)) == [False]


def test_a_dataset_of_the_users_keeps_its_options(monkeypatch):
    import tensorflow as tf

    ids = random_ids(4, 9)
    data = tf.data.Dataset.from_tensor_slices((ids[:, :-1], ids[:, 1:])).batch(2)
    assert tuned_datasets(monkeypatch, lambda model: model.fit(data, shuffle=False, verbose=0)) == [
        True
    ]
