"""The names of classes, what users give in their place, and what each counts."""

import difflib
import numbers

import numpy as np

from zoo.data.sources import to_list

NUMBERS = (numbers.Integral, np.bool_)


def label_names(labels):
    """A list of labels in any container; whole numbers and booleans become their names."""
    return [
        str(label) if isinstance(label, (str, *NUMBERS)) else label for label in to_list(labels)
    ]


def check_labels_list(labels):
    """As `label_names`, checked.

    Raises:
        ValueError: unless these are at least two different names.
    """
    labels = label_names(labels)
    if len(labels) < 2 or len(set(map(str, labels))) < len(labels):
        raise ValueError(f"labels must be at least two different names; got {labels!r}.")
    for label in labels:
        if not isinstance(label, str) or not label:
            raise ValueError(
                f"A label must be a whole number or a name, a str that is not empty; got {label!r}."
            )
    return labels


def label_ids(given, labels):
    """Names, or numbers from 0, to int32 numbers.

    Where the labels are whole numbers or booleans themselves, such as the stars 1 to 5, a number
    is the name of a label rather than its place.

    Raises:
        ValueError: for the first that is neither; it says where it stands.
    """
    given = to_list(given)
    places = {label: place for place, label in enumerate(labels)}
    are_numbers = all(label.removeprefix("-").isdecimal() for label in labels)
    found = np.zeros(len(given), "int32")
    for place, label in enumerate(given):
        if isinstance(label, float) and label.is_integer():
            label = int(label)  # a column with missing values holds its numbers as floats
        number = places.get(str(label)) if isinstance(label, (str, *NUMBERS)) else None
        if number is None and isinstance(label, NUMBERS) and not are_numbers:
            is_bool = isinstance(label, (bool, np.bool_))
            fits = len(labels) == 2 if is_bool else 0 <= label < len(labels)
            number = int(label) if fits else None
        if number is None:
            close = difflib.get_close_matches(str(label), labels, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"Labels must be among {_shown(labels)}; got {label!r} at position {place}.{hint}"
            )
        found[place] = number
    return found


def require_equal_counts(x, y, what="text", kind="label"):
    """Raise ValueError unless there is a label for each text."""
    if y is None:
        raise ValueError(f"There must be a {kind} for each {what}; got none.")
    if len(x) != len(y):
        raise ValueError(
            f"There must be a {kind} for each {what}; got {len(y)} for {len(x)} {what}s."
        )


def refuse_labels(task, y, sample_weight=None):
    """Refuse labels, or weights, of texts that a task has no use for."""
    for name, value in {"y": y, "sample_weight": sample_weight}.items():
        if value is not None:
            raise ValueError(
                f"A {type(task).__name__} makes its labels from the text alone, so {name} has no "
                "meaning beside text; leave it out."
            )


def class_weights(class_weight, labels, found):
    """What each class counts.

    Args:
        class_weight: `{label or its number: weight}`, 1 for those left out; or `"balanced"`, for
            weights with which each label that occurs counts the same, and 1 on the average.
        labels: the names.
        found: int array of the labels' numbers in the training data, for `"balanced"`.

    Returns:
        float32 `(len(labels),)`.

    Raises:
        ValueError: for anything else, an unknown label, or a weight that is none.
    """
    weights = np.ones(len(labels), "float32")
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(found, minlength=len(labels))
        seen = counts > 0
        weights[seen] = len(found) / (seen.sum() * counts[seen])
        return weights
    if not isinstance(class_weight, dict):
        raise ValueError(
            "class_weight must be a dict from labels, or their numbers, to weights, or 'balanced'; "
            f"got {class_weight!r}."
        )
    values = checked_weights(
        list(class_weight.values()), len(class_weight), "class", "class_weight"
    )
    weights[label_ids(list(class_weight), labels)] = values
    return weights


def checked_weights(weights, count, what="text", name="sample_weight"):
    """A weight for each of `count` things, as float32 `(count,)`.

    Raises:
        ValueError: for another number of them, or one that is no finite number from 0 on.
    """
    try:
        array = np.asarray(to_list(weights), "float32")
    except (TypeError, ValueError):
        array = np.array(None)
    if array.shape != (count,):
        got = "no numbers" if array.dtype == object else f"shape {array.shape}"
        raise ValueError(f"{name} must have a number for each of the {count} {what}s; got {got}.")
    require_finite(array, name)
    return array


def require_finite(array, name="sample_weight"):
    """Raise ValueError for a weight that is not finite, or below 0."""
    wrong = array[~(np.isfinite(array) & (array >= 0))]
    if wrong.size:
        raise ValueError(f"{name} must be finite numbers of at least 0; got {wrong.flat[0]}.")


def _shown(labels):
    text = ", ".join(map(repr, labels[:12]))
    return f"{text}, ... ({len(labels)} in all)" if len(labels) > 12 else text
