"""Accumulated gradients are those of one batch that holds all rows, however they are padded."""

import keras
import numpy as np
import pytest

from tests.models import random_ids, tiny_gpt

LENGTHS = np.array([9, 2, 1, 3, 9, 9, 1, 1])


def after_training(batch_size, steps, dtype="float32"):
    model = tiny_gpt(with_tokenizer=False, max_length=16, dtype=dtype)
    optimizer = keras.optimizers.SGD(
        0.5, momentum=0.9, global_clipnorm=0.3, gradient_accumulation_steps=steps
    )
    model.compile(optimizer=optimizer)
    ids = random_ids(8, 9)
    inputs = {"token_ids": ids, "padding_mask": np.arange(9) < LENGTHS[:, None]}
    weights = inputs["padding_mask"].astype("float32")
    labels = random_ids(8, 9, seed=1)
    model.fit(
        inputs,
        labels,
        sample_weight=weights,
        batch_size=batch_size,
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    return {w.path: keras.ops.convert_to_numpy(w) for w in model.weights}


@pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow_to_compile)]
)
def test_accumulated_batches_are_one_batch(dtype):
    expected = after_training(4, None, dtype)
    found = after_training(2, 2, dtype)
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=tolerance, err_msg=name)


@pytest.mark.slow_to_compile
def test_the_mean_of_means_is_another(monkeypatch):
    """What Keras gives, and what the test above would have to see."""
    expected = after_training(4, None)
    monkeypatch.setattr("zoo.backends.steps.average_over_tokens", lambda optimizer: None)
    found = after_training(2, 2)
    assert any(np.abs(found[name] - expected[name]).max() > 1e-3 for name in expected)
