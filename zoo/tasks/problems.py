"""What a classifier's numbers mean: one label of several, any of them, or plain numbers."""

import keras
import numpy as np
from keras import ops

from zoo.data.labels import (
    check_count,
    check_labels_list,
    label_ids,
    label_names,
    shown_labels,
)
from zoo.data.sources import to_list
from zoo.tasks.losses import of_logits


class SingleLabel:
    """One of several labels: a softmax."""

    name = "single_label"

    def labels(self, given):
        """The names of the outputs, a list; raises ValueError for unsound ones."""
        return check_labels_list(given)

    def loss(self):
        return of_logits("sparse_categorical_crossentropy")

    def metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")]

    def targets(self, y, labels):
        """What the loss compares with, an array, of what users give for each text."""
        return label_ids(y, labels)

    def array(self, y, labels, count):
        """The same of an array of labels beside `count` rows of token ids."""
        check_count(y, count)
        return label_ids(y, labels) if y.ndim == 1 else y  # a loss of one's own may take others

    def results(self, logits, labels):
        """What `predict_labels` returns of float64 logits, a list."""
        probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        return [
            {"label": labels[row.argmax()], "probabilities": named(labels, row)}
            for row in probabilities
        ]


class MultiLabel:
    """Any number of labels: a sigmoid for each."""

    name = "multi_label"

    def labels(self, given):
        return check_labels_list(given)

    def loss(self):
        return of_logits("binary_crossentropy")

    def metrics(self):
        metric = keras.metrics.MeanMetricWrapper(share_of_right_labels, "accuracy", "float32")
        return [metric]

    def targets(self, y, labels):
        """float32 `(texts, labels)`, 1 for each label that a text has."""
        found = np.zeros((len(y), len(labels)), "float32")
        for place, row in enumerate(y):
            found[place] = indicators(row, labels, place)
        return found

    def array(self, y, labels, count):
        require_shape(y, labels, count)
        return self.targets(y.tolist(), labels)

    def results(self, logits, labels):
        probabilities = 1 / (1 + np.exp(-logits))
        return [
            {
                "labels": [label for label, p in zip(labels, row, strict=True) if p > 0.5],
                "probabilities": named(labels, row),
            }
            for row in probabilities
        ]


class Regression:
    """A number for each name."""

    name = "regression"

    def labels(self, given):
        labels = label_names(given) or ["score"]
        return labels if len(labels) == 1 else check_labels_list(labels)

    def loss(self):
        return keras.losses.MeanSquaredError(reduction="mean_with_sample_weight", dtype="float32")

    def metrics(self):
        return [keras.metrics.MeanAbsoluteError(name="mae", dtype="float32")]

    def targets(self, y, labels):
        """float32 `(texts, labels)`."""
        try:
            numbers = np.array([to_list(row) for row in y], "float32")
        except (TypeError, ValueError):
            numbers = np.array(None)
        if numbers.shape != (len(y), len(labels)) or not np.isfinite(numbers).all():
            one = "a finite number" if len(labels) == 1 else f"{len(labels)} finite numbers"
            raise ValueError(f"There must be {one} for each text; got {str(y)[:60]}.")
        return numbers

    def array(self, y, labels, count):
        y = y[:, None] if y.ndim == len(labels) == 1 else y
        require_shape(y, labels, count)
        return self.targets(y.tolist(), labels)

    def results(self, logits, labels):
        return [named(labels, row) for row in logits]


PROBLEMS = {problem.name: problem for problem in (SingleLabel(), MultiLabel(), Regression())}


def require_shape(y, labels, count):
    if y.shape != (count, len(labels)):
        raise ValueError(
            f"y must have a row for each row of token ids and a column for each of "
            f"{shown_labels(labels)}, so the shape {(count, len(labels))}; got {y.shape}."
        )


def indicators(row, labels, place):
    """The labels of one text as 0 or 1 for each, of their names or of such numbers."""
    row = to_list(row)
    are_numbers = len(row) == len(labels) and not any(isinstance(one, str) for one in row)
    if are_numbers and all(one in (0, 1) for one in row):
        return row
    if not all(isinstance(one, str) for one in row):
        raise ValueError(
            "Each text must have a list of its labels' names, or 0 or 1 for each of "
            f"{shown_labels(labels)}; got {str(row)[:60]} at position {place}."
        )
    try:
        chosen = label_ids(row, labels)
    except ValueError as error:
        raise ValueError(f"Text {place}: {error}") from None
    return [float(number in chosen) for number in range(len(labels))]


@keras.saving.register_keras_serializable("zoo")
def share_of_right_labels(y_true, y_pred):
    """`(batch,)`, of indicators and logits `(batch, labels)`."""
    is_right = ops.equal(ops.cast(y_true, "bool"), y_pred > 0)
    return ops.mean(ops.cast(is_right, "float32"), axis=-1)


def named(labels, row):
    return dict(zip(labels, row.tolist(), strict=True))
