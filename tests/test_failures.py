"""After anything that went wrong in `fit`, `evaluate` or `predict`, the model is still of use."""

import os
import signal

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import random_ids, tiny_backbone, tiny_gpt, with_weights, word_pieces
from zoo.tasks import guards

IDS = random_ids(4, 9)
X, Y = IDS[:, :-1], IDS[:, 1:]


class Broken(Exception):
    """What the tests throw."""


class Throws(keras.callbacks.Callback):
    """Throws in one method."""

    def __init__(self, method, error):
        super().__init__()

        def throw(*args, **kwargs):
            raise error

        setattr(self, method, throw)


class ThrowingMetric(keras.metrics.Metric):
    def update_state(self, *args, **kwargs):
        raise Broken

    def result(self):
        return 0.0


class ThrowingData(keras.utils.PyDataset):
    """One batch, then an error."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index:
            raise Broken
        return X, Y


METHODS = {
    "fit": (
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_epoch_end",
        "on_train_end",
    ),
    "evaluate": ("on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"),
    "predict": (
        "on_predict_begin",
        "on_predict_batch_begin",
        "on_predict_batch_end",
        "on_predict_end",
    ),
}


def run(model, verb, callback):
    data = (X,) if verb == "predict" else (X, Y)
    getattr(model, verb)(*data, batch_size=2, verbose=0, callbacks=[callback])


def assert_of_use(model, path):
    """It predicts, saves, trains and is measured, and has as good weights as it had."""
    weights = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    expected = ops.convert_to_numpy(model(X))
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(X), expected, rtol=1e-5, atol=1e-5)
    zoo.save(model, path / "preset")
    np.testing.assert_array_equal(ops.convert_to_numpy(zoo.load(path / "preset")(X)), expected)
    assert np.isfinite(model.evaluate(X, Y, verbose=0)).all()
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("verb", "method"), [(verb, method) for verb, names in METHODS.items() for method in names]
)
@pytest.mark.parametrize(
    "error", [Broken, pytest.param(KeyboardInterrupt, marks=pytest.mark.slow_to_compile)]
)
def test_a_callback_that_throws(verb, method, error, tmp_path):
    model = tiny_gpt()
    with pytest.raises(error):
        run(model, verb, Throws(method, error))
    assert_of_use(model, tmp_path)


@pytest.mark.parametrize("is_trained", [False, True])
def test_a_metric_that_throws(is_trained, tmp_path):
    model = tiny_gpt()
    if is_trained:
        model.fit(X, Y, verbose=0)
    for verb in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        model.compile(metrics=[ThrowingMetric()])
        with pytest.raises(Broken):
            verb(X, Y)
    model.compile()
    assert_of_use(model, tmp_path)


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_labels_of_another_shape(verb, tmp_path):
    model = tiny_gpt()
    with pytest.raises(Exception, match=r"\S"):
        getattr(model, verb)(iter([(X, Y[:, :3])]), verbose=0)
    assert_of_use(model, tmp_path)


def test_labels_that_are_missing(tmp_path):
    model = zoo.TextClassifier(tiny_backbone(), word_pieces(), ["a", "b"])
    with_weights(model, 0.1)
    ids = X % word_pieces().vocab_size
    model.fit(ids, np.array([0, 1, 0, 1]), verbose=0)
    expected = model.predict(ids, verbose=0)
    for verb in (model.evaluate, model.fit):
        with pytest.raises(Exception, match=r"\S"):
            verb(ids, verbose=0)
        np.testing.assert_array_equal(model.predict(ids, verbose=0), expected)
    zoo.save(model, tmp_path / "preset")


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_data_that_throws(verb, tmp_path):
    model = tiny_gpt()
    with pytest.raises(Exception, match=r"Broken|^$"):  # TensorFlow wraps it
        getattr(model, verb)(ThrowingData(), verbose=0)
    assert_of_use(model, tmp_path)


def test_a_loss_that_throws_when_it_is_first_traced(tmp_path):
    class Fails(zoo.CausalLM):
        fails = True

        def compute_loss(self, *args, **kwargs):
            if self.fails:
                raise Broken
            return super().compute_loss(*args, **kwargs)

    model = Fails(zoo.models.GPT(300, 1, 2, 16, max_length=64))
    for verb in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        model.fails = True
        with pytest.raises(Broken):
            verb(X, Y)
        model.fails = False
        verb(X, Y)


@pytest.fixture
def heeds_ctrl_c():
    """Started in the background, a process ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_within_a_step_leaves_weights(backend, heeds_ctrl_c):
    """The signal comes while the step has the weights: at its end they are back in their place."""
    model = tiny_gpt()
    model.fit(X, Y, verbose=0)
    step = model.train_function
    function = step.function if backend == "jax" else step

    def interrupted(*args):
        results = function(*args)
        os.kill(os.getpid(), signal.SIGINT)
        return results

    if backend == "jax":
        step.function = interrupted
    else:
        model.train_function = interrupted
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_a_loss_that_becomes_no_number_stops_fit_with_good_weights(num_epochs, tmp_path):
    model = tiny_gpt()
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1e30))
    with pytest.raises(FloatingPointError, match=r"has the weights of step 0 again"):
        model.fit(X, Y, batch_size=1, epochs=num_epochs, verbose=0)
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    model.optimizer.learning_rate = 1e-3
    assert_of_use(model, tmp_path)


def test_it_is_seen_within_an_epoch_and_few_steps_are_lost(monkeypatch):
    monkeypatch.setattr(guards, "STEPS", 4)

    class Poison(keras.callbacks.Callback):
        """Weights that are not finite after some steps."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch == 10:
                weight = model.trainable_weights[0]
                weight.assign(ops.full(weight.shape, np.nan))

        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    seen, model = [], tiny_gpt()
    with pytest.raises(FloatingPointError, match=r"weights of step 8 again"):
        model.fit(random_ids(40, 9), batch_size=1, verbose=0, callbacks=[Poison()])
    assert len(seen) < 20
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_whoever_asks_for_it_keeps_the_weights_as_they_are():
    model = tiny_gpt()
    model.compile(keras.optimizers.SGD(1e30))
    callbacks = [keras.callbacks.TerminateOnNaN()]
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=callbacks)
    assert not all(np.isfinite(weight).all() for weight in model.get_weights())
