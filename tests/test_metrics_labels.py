"""Reports and matrices of labels: equal to scikit-learn's, from what tasks predict."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.training.metrics import classification_report, confusion_matrix, draw_confusion_matrix

pytestmark = pytest.mark.backend_free

LABELS = ["pos", "neg", "quite neutral"]
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)


def predicted(labels):
    """What `predict_labels` returns where these labels are the likeliest."""
    rest = 0.5 / (len(LABELS) - 1)
    return [
        {"label": label, "probabilities": {**dict.fromkeys(LABELS, rest), label: 0.5}}
        for label in labels
    ]


@settings(max_examples=50, deadline=None)
@given(pairs)
def test_the_numbers_are_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = map(list, zip(*pairs, strict=True))
    numbers = classification_report(true, predicted(found), output_dict=True)
    reference = {"labels": LABELS, "zero_division": 0, "output_dict": True}
    expected = metrics.classification_report(true, found, **reference)
    assert list(numbers) == [*LABELS, "accuracy", "macro avg", "weighted avg"]
    assert numbers.keys() == expected.keys()
    for name, row in numbers.items():
        assert row == pytest.approx(expected[name])
    matrix, labels = confusion_matrix(true, predicted(found))
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(true, found, labels=LABELS))
    assert labels == LABELS


def test_the_text_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(0)
    true, found = (rng.choices(LABELS, weights=[5, 3, 1], k=300) for _ in range(2))
    expected = metrics.classification_report(true, found, labels=LABELS)
    assert classification_report(true, predicted(found)) == expected


def test_by_hand():
    true, found = ["neg", "neg", "pos", "pos", "pos"], ["neg", "pos", "pos", "pos", "neg"]
    matrix, labels = confusion_matrix(true, predicted(found))
    assert labels == LABELS
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    report = classification_report(true, predicted(found), output_dict=True)
    assert report["accuracy"] == 0.6
    assert report["neg"] == {"precision": 0.5, "recall": 0.5, "f1-score": 0.5, "support": 2}
    assert report["quite neutral"]["support"] == 0
    assert "       pos      0.667     0.667     0.667         3\n" in classification_report(
        true, predicted(found), digits=3
    )


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter])
def test_labels_may_be_names_or_numbers_in_any_container(kind):
    names, numbers = ["neg", "pos", "neg"], [1, 0, 1]
    found = ["neg", "neg", "pos"]
    expected = confusion_matrix(names, predicted(found))[0].tolist()
    assert confusion_matrix(kind(names), predicted(found))[0].tolist() == expected
    assert confusion_matrix(kind(numbers), predicted(found))[0].tolist() == expected
    assert confusion_matrix(kind(names), kind(found), LABELS)[0].tolist() == expected
    matrix, labels = confusion_matrix(kind(numbers), kind([1, 1, 0]))
    assert labels == [0, 1]
    assert [type(label) for label in labels] == [int, int]
    assert matrix.tolist() == [[0, 1], [1, 1]]
    stars = classification_report(kind([5, 1]), kind([5, 5]), labels=[1, 5], output_dict=True)
    assert stars[5]["precision"] == 0.5


@pytest.mark.parametrize(
    ("y", "predictions", "labels", "message"),
    [
        (["pos"], ["pos", "neg"], None, "prediction for each true label, .* got 1 labels and 2"),
        ([], [], None, "at least 1; got 0 labels and 0 predictions"),
        (["bad"], predicted(["neg"]), None, "Labels must be among 'pos', .*; got 'bad' at"),
        ([3], predicted(["neg"]), None, "got 3 at position 0"),
        ([3], [2], [1, 2], r"Every label must be one of \[1, 2\]; got 3"),
        (["a"], ["a"], ["a", "a"], r"listed once; got \['a', 'a'\]"),
        (["a"], [{"labels": ["a"]}], None, "what predict_labels returns .* got a dict of labels"),
    ],
)
def test_errors(y, predictions, labels, message):
    for call in (confusion_matrix, classification_report):
        with pytest.raises(ValueError, match=message):
            call(y, predictions, labels)


@pytest.mark.parametrize("count", [2, 25])
def test_the_picture_is_a_png(tmp_path, count):
    pytest.importorskip("matplotlib")
    rng = random.Random(0)
    names = [f"label {number}" for number in range(count)]
    true = [rng.choice(names) for _ in range(200)]
    draw_confusion_matrix(true, true[::-1], tmp_path / "new" / "matrix.png", names)
    content = (tmp_path / "new" / "matrix.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["matrix.png"]


def test_a_picture_needs_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        draw_confusion_matrix(["a"], ["a"], tmp_path / "x.png")
    assert not list(tmp_path.iterdir())
