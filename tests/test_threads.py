"""A model in several threads, cold and beside a run of `fit` or `evaluate`, computes what it is."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import random_ids, tiny_backbone, tiny_gpt, tiny_lstm, with_weights, word_pieces

IDS = random_ids(2, 5)
TEXTS = ["The sea was calm.", "It was late! Was it?"]
NUM_THREADS = 8


@contextlib.contextmanager
def beside(run):
    """While another thread calls `run` again and again; its first call has begun its steps."""
    started, done, errors = threading.Event(), threading.Event(), []

    class Start(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            started.set()

        def on_test_batch_end(self, batch, logs=None):
            started.set()

    def repeat():
        try:
            while not done.is_set():
                run([Start()])
        except BaseException as error:
            errors.append(error)
            started.set()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        assert started.wait(120)
        yield
    finally:
        done.set()
        thread.join()
    assert not errors, errors


def in_threads(function, times=4):
    """The results of a function that several threads call at once."""
    gate = threading.Barrier(NUM_THREADS)

    def call(_):
        gate.wait()
        return [function() for _ in range(times)]

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return [result for results in pool.map(call, range(NUM_THREADS)) for result in results]


def classifier():
    return with_weights(zoo.TextClassifier(tiny_backbone(), word_pieces(), ["a", "b"]), 0.1)


def embedder():
    return with_weights(zoo.TextEmbedder(tiny_backbone(), word_pieces()), 0.1)


USES = {
    "call": (tiny_gpt, lambda model: ops.convert_to_numpy(model(IDS))),
    "call of an LSTM": (tiny_lstm, lambda model: ops.convert_to_numpy(model(IDS))),
    "predict": (tiny_gpt, lambda model: model.predict(IDS, verbose=0)),
    "predict_on_batch": (tiny_gpt, lambda model: model.predict_on_batch(IDS)),
    "predict_labels": (
        classifier,
        lambda model: [list(one["probabilities"].values()) for one in model.predict_labels(TEXTS)],
    ),
    "encode": (embedder, lambda model: model.encode(TEXTS)),
}


@pytest.mark.parametrize("use", USES)
def test_threads_that_begin_together_all_get_the_right_results(use):
    make, read = USES[use]
    expected = read(make())
    model = make()  # which has compiled nothing yet
    for result in in_threads(lambda: read(model)):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_a_model_computes_the_same_beside_fit_and_evaluate(use, verb):
    """`fit` moves no weight here: its learning rate is 0."""
    make, read = USES[use]
    model = make()
    expected = read(model)
    model.compile(keras.optimizers.SGD(0.0))
    with beside(lambda callbacks: repeatedly(model, verb, callbacks)):
        for result in in_threads(lambda: read(model), times=2):
            np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(read(model), expected, rtol=1e-5, atol=1e-5)


def repeatedly(model, verb, callbacks):
    settings = {"batch_size": 2, "verbose": 0, "callbacks": callbacks}
    if isinstance(model, zoo.TextClassifier):
        getattr(model, verb)(TEXTS * 8, ["a", "b"] * 8, **settings)
    elif isinstance(model, zoo.TextEmbedder):
        getattr(model, verb)([tuple(TEXTS)] * 16, **settings)
    else:
        getattr(model, verb)(TEXTS * 16, **settings)


def test_a_reader_beside_fit_sees_weights_of_now():
    """Losses fall from call to call: no reader is left with old weights, and none with others'."""
    model = tiny_gpt(scale=0.1)
    model.compile(keras.optimizers.Adam(1e-2))
    ids = random_ids(8, 17) // 8

    def loss():
        logits = ops.convert_to_numpy(model(ids[:, :-1])).astype("float64")
        logits -= logits.max(axis=-1, keepdims=True)
        nats = (
            np.log(np.exp(logits).sum(axis=-1))
            - np.take_along_axis(logits, ids[:, 1:, None], axis=-1)[..., 0]
        )
        return nats.mean()

    first = loss()
    settings = {"batch_size": 2, "epochs": 5, "verbose": 0}
    with beside(lambda callbacks: model.fit(ids, callbacks=callbacks, **settings)):
        seen = in_threads(loss)
    assert np.isfinite(seen).all()
    assert max(seen) < first + 0.1
    assert loss() < 0.9 * first


def test_a_model_is_saved_beside_fit(tmp_path):
    model = tiny_gpt()
    model.compile(keras.optimizers.SGD(0.0))
    expected = model.get_weights()
    with beside(lambda callbacks: repeatedly(model, "fit", callbacks)):
        for _ in range(5):
            zoo.save(model, tmp_path / "preset")
    for weight, value in zip(zoo.load(tmp_path / "preset").get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_stateful_evaluation_is_its_own_whoever_calls_the_model():
    model = tiny_lstm(task_arguments={"sequence_length": 8, "stateful": True})
    expected = model.evaluate(TEXTS * 4, batch_size=1, verbose=0)
    seen = []
    with beside(
        lambda callbacks: seen.append(
            model.evaluate(TEXTS * 4, batch_size=1, verbose=0, callbacks=callbacks)
        )
    ):
        in_threads(lambda: ops.convert_to_numpy(model(IDS)))
    for losses in seen:
        np.testing.assert_allclose(losses, expected, rtol=1e-6)
