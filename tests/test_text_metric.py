"""Scores of what a model writes, among the logs of `fit`."""

import keras
import numpy as np
import pytest
from zoo.training import metrics
from zoo.training.text_metric import TextMetric

from tests.models import TEXTS, tiny_gpt

PROMPTS, ANSWERS = ["The sea", "It was", "x ="], ["was calm", "the best", "[i]"]


def few_tokens(model, prompts):
    return model.generate(prompts, max_new_tokens=4, strip_prompt=True)


def echo(model, inputs):
    return inputs


class Listed:
    """A score that is the next of a list, whatever was predicted."""

    def __init__(self, values):
        self.values = iter(values)
        self.seen = []

    def __call__(self, references, predictions):
        self.seen.append((references, predictions))
        return next(self.values)


@pytest.fixture(scope="module")
def runs():
    """A model, and the history and final weights of its training with two metrics and without."""
    callbacks = [
        TextMetric("val", metrics.chrf, PROMPTS, ANSWERS, method=few_tokens),
        TextMetric(
            "held_out",
            lambda texts, scored: metrics.perplexity(*scored, texts),
            PROMPTS,
            PROMPTS,
            method="score",
        ),
    ]
    keras.utils.set_random_seed(0)
    model = tiny_gpt(num_layers=1, max_length=32)
    model.compile(keras.optimizers.SGD(0.1))
    initial, results = model.get_weights(), []
    for used in ([], callbacks):
        model.set_weights(initial)
        history = model.fit(list(TEXTS), epochs=3, shuffle=False, verbose=0, callbacks=used)
        results.append((history.history, model.get_weights()))
    return model, *results, callbacks


def test_each_epoch_logs_the_scores_of_the_model_as_it_is_then(runs):
    model, _, (history, _), (chrf, perplexity) = runs
    names = {"val_chrf", "held_out_per_token", "held_out_per_word", "held_out_per_byte"}
    assert names <= set(history)  # the signature is not among them
    assert all(len(history[name]) == 3 for name in names)
    assert len(set(history["held_out_per_token"])) == 3
    last = metrics.perplexity(*model.score(PROMPTS), PROMPTS)
    assert history["held_out_per_token"][-1] == pytest.approx(last["per_token"], rel=1e-5)
    assert history["val_chrf"][-1] == metrics.chrf(ANSWERS, few_tokens(model, PROMPTS))["chrf"]
    assert chrf.score() == {"val_chrf": history["val_chrf"][-1]}
    assert perplexity.score()["held_out_per_word"] > 1


def test_training_is_the_same_with_and_without(runs):
    _, (plain, plain_weights), (history, weights), _ = runs
    assert set(plain) < set(history)
    assert plain["loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert plain["loss"][0] > plain["loss"][-1]
    for first, second in zip(plain_weights, weights, strict=True):
        assert np.allclose(first, second, atol=1e-6)


@pytest.fixture(scope="module")
def fit_line():
    """A function that fits a line to two points and returns the history."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    points = np.array([[1.0], [2.0]], "float32")

    def fit(epochs, *callbacks):
        return model.fit(points, points, epochs=epochs, verbose=0, callbacks=callbacks).history

    return fit


def test_early_stopping_may_watch_a_score(fit_line):
    score = Listed([1.0, 3.0, 2.0, 0.5, 9.0])
    metric = TextMetric("quality", score, PROMPTS, ANSWERS, method=echo)
    stopping = keras.callbacks.EarlyStopping("quality", mode="max", patience=2)
    history = fit_line(5, metric, stopping)
    assert history["quality"] == [1.0, 3.0, 2.0, 0.5]
    assert stopping.best == 3.0
    assert score.seen == [(ANSWERS, PROMPTS)] * 4


def test_a_checkpoint_may_watch_a_score(fit_line, tmp_path):
    metric = TextMetric("quality", Listed([2.0, 3.0, 1.0]), 0, 0, method=echo)
    path = tmp_path / "{epoch}.weights.h5"
    best = keras.callbacks.ModelCheckpoint(
        path, "quality", mode="max", save_best_only=True, save_weights_only=True
    )
    fit_line(3, metric, best)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.weights.h5", "2.weights.h5"]


def test_every_so_many_epochs(fit_line):
    score = Listed([{"a": 1, "kind": "text", "per_label": {"x": 2}}, {"a": np.float32(2.5)}])
    history = fit_line(5, TextMetric("val", score, 0, 1, method=echo, every=2))
    assert set(history) == {"val_a", "loss"}
    assert history["val_a"] == [1.0, 2.5]
    assert len(history["loss"]) == 5


def test_the_truth_comes_first_as_in_the_metrics_of_lists():
    true, found = [["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]]
    metric = TextMetric("val", metrics.entity_f1, found, true, method=echo)
    assert metric.score() == pytest.approx({"val_precision": 1, "val_recall": 0.5, "val_f1": 2 / 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "translate"}, r"one of the model's; Sequential has no 'translate'"),
        ({"method": "name"}, r"Sequential has no 'name'"),
        ({"name": "loss"}, r"already have 'loss': give this metric another name than 'loss'"),
        ({"function": lambda *_: "good"}, r"'val' must return a number, .*; got 'good'"),
        ({"function": lambda *_: {"x": {}}}, r"must return a number, .*; got \{'x': \{\}\}"),
    ],
    ids=["no_method", "no_function", "taken", "text", "dict"],
)
def test_errors_in_fit(fit_line, arguments, message):
    usual = {"name": "val", "function": lambda *_: 1, "method": echo}
    metric = TextMetric(inputs=PROMPTS, references=ANSWERS, **{**usual, **arguments})
    with pytest.raises(ValueError, match=message):
        fit_line(1, metric)


def test_every_is_at_least_one():
    with pytest.raises(ValueError, match=r"a number of epochs, at least 1; got 0\."):
        TextMetric("val", metrics.bleu, PROMPTS, ANSWERS, every=0)
