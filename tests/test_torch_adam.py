"""PyTorch's fused Adam takes the steps of Keras' own."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import random_ids, tiny_gpt
from zoo.backends.torch import adam as torch_adam

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch only")


def train(optimizer):
    model = tiny_gpt(scale=0.1)
    model.compile(optimizer=optimizer)
    ids = random_ids(30, 17)
    losses = model.fit(ids, batch_size=2, shuffle=False, verbose=0).history["loss"]
    return losses, [ops.convert_to_numpy(weight) for weight in model.weights]


def both(monkeypatch, cls=keras.optimizers.AdamW, **arguments):
    """Losses and weights with and without the fused kernel, and how often it was called."""

    def optimizer():
        # A large epsilon: Adam makes steps of full size from gradients that are rounding alone.
        optimizer = cls(1e-2, epsilon=1e-3, **arguments)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    calls, fused = [], torch_adam._fused_update
    monkeypatch.setattr(torch_adam, "_fused_update", lambda *a: (calls.append(1), fused(*a)))
    seen = train(optimizer())
    monkeypatch.setattr(torch_adam, "_fits", lambda *_: False)
    return seen, train(optimizer()), len(calls)


def assert_equal(seen, expected):
    np.testing.assert_allclose(seen[0], expected[0], rtol=1e-6)
    for one, other in zip(seen[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"cls": keras.optimizers.Adam},
        {"weight_decay": 0.1},
        {"weight_decay": 0.1, "global_clipnorm": 0.05},
        {"beta_1": 0.5, "beta_2": 0.9, "global_clipnorm": 1e9},
        {"decay_rate": 0.5},
    ],
    ids=str,
)
def test_the_fused_kernel_takes_the_same_steps(monkeypatch, arguments):
    if "decay_rate" in arguments:
        schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 3, arguments["decay_rate"])
        arguments = {"cls": lambda _, **others: keras.optimizers.AdamW(schedule, **others)}
    seen, expected, num_calls = both(monkeypatch, **arguments)
    assert num_calls == 15
    assert_equal(seen, expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {"clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"amsgrad": True},
        {"use_ema": True},
        {"gradient_accumulation_steps": 3},
    ],
    ids=str,
)
def test_other_options_keep_keras_own_update(monkeypatch, arguments):
    seen, expected, num_calls = both(monkeypatch, **arguments)
    assert num_calls == 0
    assert_equal(seen, expected)


def test_gradients_that_are_not_finite_are_not_hidden():
    model = tiny_gpt(scale=1e30)
    # Keras' own guard in place of ours, which would put good weights back
    model.fit(random_ids(2, 9), verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert not np.isfinite(ops.convert_to_numpy(model.weights[0])).all()


def test_compiling_twice_updates_once():
    optimizer = keras.optimizers.SGD(0.1)
    torch_adam.speed_up_optimizer(optimizer)
    assert "_backend_apply_gradients" not in vars(optimizer)
    adam = keras.optimizers.Adam(1e-2)
    for _ in range(2):
        torch_adam.speed_up_optimizer(adam)
    model = tiny_gpt()
    model.compile(optimizer=adam)
    model.fit(random_ids(2, 9), verbose=0)
    assert int(adam.iterations) == 1
