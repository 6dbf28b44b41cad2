"""Classifiers of several labels and of numbers, over encoders and over what reads on."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_backbone, tiny_gpt, tiny_lstm, with_weights, word_pieces
from tests.test_exporting import CONSUMER, as_bytes

TEXTS = ["the sea was calm", "late", "the sky was grey and calm", "nobody spoke"]
NAMES = ["calm", "the", "late"]
SEVERAL = [["calm", "the"], ["late"], ["calm", "the"], []]
LENGTHS = [4.0, 1.0, 6.0, 2.0]


def classifier(problem, labels=NAMES, backbone=None, **arguments):
    backbone = backbone or tiny_backbone(num_layers=1)
    arguments = {"head_dropout": 0.0, **arguments}
    return with_weights(
        zoo.TextClassifier(backbone, word_pieces(), labels, problem=problem, **arguments)
    )


def decoders():
    """Classifiers over models that read from left to right, with the tokenizer of each."""
    for model in (tiny_gpt(), tiny_lstm()):
        for pooling in ("mean", "last", None):
            arguments = {"labels": ["a", "b"], "pooling": pooling}
            task = zoo.TextClassifier(model.backbone, model.tokenizer, **arguments)
            yield with_weights(task)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def several():
    return classifier("multi_label")


@pytest.fixture(scope="module")
def numbers():
    return classifier("regression", labels=())


def test_several_labels_are_a_sigmoid_each(several):
    logits = several.predict(TEXTS, verbose=0)
    wanted = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]])
    p = sigmoid(logits)
    expected = -np.mean(wanted * np.log(p) + (1 - wanted) * np.log(1 - p))
    seen = several.evaluate(TEXTS, SEVERAL, verbose=0, return_dict=True)
    assert seen["loss"] == pytest.approx(expected, rel=1e-4)
    assert seen["accuracy"] == pytest.approx(np.mean((logits > 0) == wanted))
    for one, row in zip(several.predict_labels(TEXTS), p, strict=True):
        assert one["labels"] == [name for name, x in zip(NAMES, row, strict=True) if x > 0.5]
        np.testing.assert_allclose(list(one["probabilities"].values()), row, atol=1e-5)


def test_names_and_zeros_and_ones_say_the_same(several):
    wanted = [[1, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    expected = several.evaluate(TEXTS, SEVERAL, verbose=0)
    for y in (wanted, np.array(wanted), np.array(wanted, bool), [set(one) for one in SEVERAL]):
        y = [list(one) for one in y] if isinstance(y, list) else y
        assert several.evaluate(TEXTS, y, verbose=0) == pytest.approx(expected)


def test_numbers_have_squared_errors(numbers):
    seen = numbers.predict(TEXTS, verbose=0)[:, 0]
    logs = numbers.evaluate(TEXTS, LENGTHS, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean((seen - LENGTHS) ** 2), rel=1e-4)
    assert logs["mae"] == pytest.approx(np.mean(np.abs(seen - LENGTHS)), rel=1e-4)
    assert numbers.labels == ("score",)
    assert numbers.predict_labels(TEXTS[0]) == {"score": pytest.approx(seen[0], abs=1e-5)}


@pytest.mark.parametrize(("problem", "y"), [("multi_label", SEVERAL), ("regression", LENGTHS)])
def test_they_are_learnt(problem, y):
    model = classifier(problem, NAMES if problem == "multi_label" else ())
    model.compile(optimizer=keras.optimizers.Adam(2e-2))
    history = model.fit(TEXTS, y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]


def test_a_missing_number_is_left_out(numbers):
    few = numbers.evaluate(TEXTS[:2], LENGTHS[:2], verbose=0)
    with pytest.warns(UserWarning, match="2 of 4 texts have no label and were left out") as seen:
        values = numbers.evaluate(TEXTS, [*LENGTHS[:2], None, float("nan")], verbose=0)
    assert values == pytest.approx(few, rel=1e-4)
    assert [w.filename for w in seen if w.category is UserWarning] == [__file__]


@pytest.mark.parametrize(
    ("problem", "y", "message"),
    [
        ("multi_label", [["calm"], ["sad"], [], []], "Text 1: Labels must be among .* got 'sad'"),
        ("multi_label", [[2, 0, 1]] * 4, "0 or 1 for each of 'calm', 'the', 'late'; got"),
        ("multi_label", [[0, 1]] * 4, "0 or 1 for each of 'calm', 'the', 'late'; got"),
        ("regression", ["a"] * 4, "There must be 3 finite numbers for each text"),
        ("regression", [[0, 1]] * 4, "There must be 3 finite numbers for each text"),
        ("regression", [[0, 1, np.inf]] * 4, "There must be 3 finite numbers for each text"),
    ],
)
def test_other_labels_are_refused(problem, y, message):
    with pytest.raises(ValueError, match=message):
        classifier(problem).fit(TEXTS, y)


@pytest.mark.parametrize("problem", ["multi_label", "regression"])
def test_token_ids_bring_a_row_of_numbers(problem):
    model, ids = classifier(problem), np.ones((2, 4), "int32")
    assert np.isfinite(model.fit(ids, np.eye(2, 3), verbose=0).history["loss"])
    with pytest.raises(ValueError, match=r"so the shape \(2, 3\); got \(2,\)"):
        model.fit(ids, [0, 1])
    with pytest.raises(ValueError, match="weighs the one class of each text"):
        model.fit(ids, np.eye(2, 3), class_weight={"the": 2.0})


def test_labels_beside_token_ids_are_those_beside_texts():
    model, ids = classifier("single_label", labels=[1, 2, 5]), np.ones((2, 4), "int32")
    by_place = classifier("single_label")
    expected = by_place.evaluate(ids, [0, 2], verbose=0)
    assert model.evaluate(ids, [1, 5], verbose=0) == pytest.approx(expected)
    assert model.evaluate(ids, np.array([1.0, 5.0]), verbose=0) == pytest.approx(expected)
    for wrong in ([0, 1], [1.5, 2], [1, None]):
        with pytest.raises(ValueError, match="Labels must be among '1', '2', '5'; got"):
            model.fit(ids, wrong)
    with pytest.raises(ValueError, match="a label for each row of token ids; got 3 for 2 rows"):
        model.fit(ids, [1, 2, 5])


def test_labels_of_a_column_may_be_missing():
    labels = np.array([2.0, np.nan, 1.0])
    model = zoo.TextClassifier(tiny_backbone(), labels=labels)
    assert model.labels == ("2", "1")


@pytest.mark.slow_to_compile
def test_what_reads_on_classifies_alone_as_in_a_batch():
    for model in decoders():
        together = model.predict(TEXTS, verbose=0)
        alone = np.concatenate([model.predict(text, verbose=0) for text in TEXTS])
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
        assert np.ptp(together, axis=0).min() > 1e-3
        assert np.isfinite(model.fit(TEXTS, ["a", "b"] * 2, verbose=0).history["loss"])


def test_the_last_token_is_that_of_the_text():
    model = next(iter(decoders()))
    ids = np.array([[5, 6, 7, 0, 0], [5, 6, 7, 8, 9]])
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    last = zoo.layers.encoder_parts.LastToken()
    hidden = model.backbone({"token_ids": ids, "padding_mask": mask})
    expected = ops.convert_to_numpy(hidden)[[0, 1], [2, 4]]
    np.testing.assert_array_equal(ops.convert_to_numpy(last(hidden, padding_mask=mask)), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(last(hidden))[1], expected[1])
    with pytest.raises(ValueError, match="this GPT reads from left to right"):
        zoo.TextClassifier(model.backbone, labels=["a", "b"], pooling="first")


@pytest.mark.slow_to_compile
def test_saved_and_loaded(several, numbers, tmp_path):
    gpt = list(decoders())[1]
    for number, model in enumerate((several, numbers, gpt)):
        folder = tmp_path / str(number)
        zoo.save(model, folder)
        other = zoo.load(folder)
        assert other.predict_labels(TEXTS[0]) == model.predict_labels(TEXTS[0])
        assert type(other.loss) is type(model.loss)
    fresh = zoo.load(tmp_path / "0", problem="regression", weights="backbone", labels=["score"])
    assert list(fresh.predict_labels(TEXTS[0])) == ["score"]


@pytest.mark.slow_to_compile
def test_served_as_they_answer(several, numbers, tmp_path, backend):
    models = {"several": several, "numbers": numbers, "gpt": list(decoders())[1]}
    if backend != "tensorflow":  # each export takes a process; the graphs are TensorFlow's on all
        pytest.skip("Exported under TensorFlow only.")
    for name, model in models.items():
        zoo.export(model, tmp_path / name)
    call = [("classify", {"text": as_bytes([*TEXTS, ""])})]
    (tmp_path / "in.json").write_text(json.dumps({str(tmp_path / name): call for name in models}))
    command = [sys.executable, "-c", CONSUMER, tmp_path / "in.json", tmp_path / "out.json"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    results = json.loads((tmp_path / "out.json").read_text())
    seen = {name: results[str(tmp_path / name)][1] for name in models}
    expected = {name: model.predict_labels([*TEXTS, ""]) for name, model in models.items()}
    chosen = [[name in one["labels"] for name in NAMES] for one in expected["several"]]
    assert seen["several"]["is_label"] == chosen
    values = [[one["score"]] for one in expected["numbers"]]
    np.testing.assert_allclose(seen["numbers"]["value"], values, atol=1e-5)
    assert seen["gpt"]["label"] == [one["label"] for one in expected["gpt"]]
