"""Scores of one label a text: as numbers, as a report, as a matrix and its picture."""

import os
from typing import Any

import numpy as np

from zoo.checks import file_path, require_flag, require_several, require_whole
from zoo.data.labels import label_ids
from zoo.files import replacing

MOST_NUMBERS = 20  # labels up to which a picture has room for the numbers


def classification_scores(true: Any, predicted: Any, labels: Any) -> dict:
    """Accuracy, and precision, recall and F1 of each label.

    Args:
        true, predicted: `(samples,)`, sequences of labels: strings, or numbers.
        labels: sequence of all the labels that may occur, each once; for class numbers `range(n)`.

    Returns:
        `{"accuracy", "macro_f1", "per_label": {label: {"precision", "recall", "f1", "support"}}}`:
        floats from 0 to 1, the support an int: how often the label is the true one. What would
        divide by zero is 0. `macro_f1` is the mean over all of `labels`: one that occurs on
        neither side lowers it.

    Raises:
        ValueError: for sequences of different or no length, or a label that is not in `labels`.
    """
    labels = plain(labels, "labels")
    index = {label: i for i, label in enumerate(labels)}
    if len(index) < len(labels):
        raise ValueError(f"Each label must be listed once; got {labels}.")
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.ndim != 1 or not len(true):
        raise ValueError(
            "True and predicted labels must be two flat sequences of one length, at least 1; "
            f"got the shapes {true.shape} and {predicted.shape}."
        )
    unknown = [label for label in [*true.tolist(), *predicted.tolist()] if label not in index]
    if unknown:
        raise ValueError(f"Every label must be one of {labels}; got {unknown[0]!r}.")
    true = np.array([index[label] for label in true.tolist()])
    predicted = np.array([index[label] for label in predicted.tolist()])
    correct, support, guesses = (
        np.bincount(ids, minlength=len(labels))
        for ids in (true[true == predicted], true, predicted)
    )
    f1 = ratio(2 * correct, support + guesses)
    columns = (ratio(correct, guesses), ratio(correct, support), f1, support)
    return {
        "accuracy": float(correct.sum() / len(true)),
        "macro_f1": float(f1.mean()),
        "per_label": per_label(labels, columns),
    }


def ratio(numerator, denominator):
    return numerator / np.maximum(denominator, 1)  # counts: 0 of 0 is 0


def per_label(labels, columns):
    names = ("precision", "recall", "f1", "support")
    rows = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    return {
        label: dict(zip(names, row, strict=True)) for label, row in zip(labels, rows, strict=True)
    }


def classification_report(
    y: Any, predictions: Any, labels: Any = None, digits: int = 2, output_dict: bool = False
) -> str | dict:
    """What was predicted for each label and all, laid out as scikit-learn does.

        print(classification_report(y, model.predict_labels(texts)))

    Args:
        y: the true labels; beside the predictions of a task also their numbers.
        predictions: what `predict_labels` returns, or labels.
        labels: sequence of all the labels, in the order of the report; None for those of the task,
            or else those that occur, sorted.
        digits: int, decimal places of the text.
        output_dict: return a dict instead of a text.

    Returns:
        A str, or `{label: {"precision", "recall", "f1-score", "support"}, "accuracy": float,
        "macro avg": {...}, "weighted avg": {...}}`: the means over labels, and over texts. What
        would divide by zero is 0.

    Raises:
        ValueError: as `confusion_matrix`.
    """
    require_whole("digits", digits, smallest=0, optional=False)
    require_flag("output_dict", output_dict)
    matrix, labels = confusion_matrix(y, predictions, labels)
    correct, support, guesses = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    columns = np.stack(
        [ratio(correct, guesses), ratio(correct, support), ratio(2 * correct, support + guesses)]
    )
    total = int(support.sum())
    rows = {label: [*columns[:, i], support[i]] for i, label in enumerate(labels)}
    averages = {
        "macro avg": [*columns.mean(axis=1), total],
        "weighted avg": [*(columns @ support / total), total],
    }
    accuracy = float(correct.sum() / total)
    if output_dict:
        return {**named(rows), "accuracy": accuracy, **named(averages)}
    width = max(len(str(name)) for name in [*labels, "weighted avg"])
    cells = " ".join(f"{{:>9.{digits}f}}" for _ in columns)
    lines = [f"{'':>{width}}  precision    recall  f1-score   support", ""]
    row = f"{{:>{width}}}  {cells} {{:>9}}"
    lines += [row.format(str(label), *values) for label, values in rows.items()]
    lines += ["", f"{'accuracy':>{width}}  {'':>9} {'':>9} {accuracy:>9.{digits}f} {total:>9}"]
    lines += [row.format(name, *values) for name, values in averages.items()]
    return "\n".join(lines) + "\n"


def named(rows):
    names = ("precision", "recall", "f1-score")
    return {
        label: {**dict(zip(names, map(float, values), strict=True)), "support": int(count)}
        for label, (*values, count) in rows.items()
    }


def confusion_matrix(y: Any, predictions: Any, labels: Any = None) -> tuple[np.ndarray, list]:
    """How often each label was predicted for each.

    Args:
        y, predictions, labels: those of `classification_report`.

    Returns:
        `(matrix, labels)`: int64 `(labels, labels)`, how often the label of the row was taken for
        that of the column, and the labels in their order, a list.

    Raises:
        ValueError: no or different numbers of labels, one that is not in `labels`, or one that is
            listed twice.
    """
    y, predictions = plain(y, "y"), plain(predictions, "predictions")
    if predictions and isinstance(predictions[0], dict):
        if "label" not in predictions[0]:
            raise ValueError(
                "Predictions must be what predict_labels returns for one label a text, or labels; "
                f"got a dict of {', '.join(map(str, predictions[0]))}."
            )
        labels = list(predictions[0]["probabilities"]) if labels is None else labels
        predictions = [prediction["label"] for prediction in predictions]
    if len(y) != len(predictions) or not y:
        raise ValueError(
            "There must be a prediction for each true label, at least 1; got "
            f"{len(y)} labels and {len(predictions)} predictions."
        )
    labels = sorted(set(y) | set(predictions)) if labels is None else plain(labels, "labels")
    if len(set(labels)) < len(labels):
        raise ValueError(f"Each label must be listed once; got {labels}.")
    matrix = np.zeros((len(labels), len(labels)), "int64")
    np.add.at(matrix, (places(y, labels), places(predictions, labels)), 1)
    return matrix, labels


def plain(values, name):
    """A list, with Python's own numbers and strings in the place of NumPy's."""
    require_several(name, values, "labels")
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def places(given, labels):
    """Where labels stand among all of them. Of labels with names, numbers are their places."""
    if all(isinstance(label, str) for label in labels):
        return label_ids(given, labels)
    place = {label: number for number, label in enumerate(labels)}
    unknown = [label for label in given if label not in place]
    if unknown:
        raise ValueError(f"Every label must be one of {labels}; got {unknown[0]!r}.")
    return np.array([place[label] for label in given])


def draw_confusion_matrix(
    y: Any, predictions: Any, picture: str | os.PathLike, labels: Any = None
) -> None:
    """The confusion matrix as a PNG: shades are shares of a true label, numbers are counts.

    Args:
        y, predictions, labels: those of `classification_report`.
        picture: path of the file to write.

    Raises:
        ImportError: without `matplotlib`.
        ValueError: as `confusion_matrix`.
    """
    picture = file_path(picture, "A picture")
    matrix, labels = confusion_matrix(y, predictions, labels)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib, which is not installed: pip install matplotlib."
        ) from error
    shares = ratio(matrix, matrix.sum(axis=1, keepdims=True))
    size = 2.5 + 0.5 * len(labels)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(label) for label in labels]
    slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(labels)), names, **slanted)
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    figure.colorbar(image, label="share of the true label", shrink=0.8)
    with replacing(picture) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
