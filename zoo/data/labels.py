"""The names of classes, and what users give in their place."""

import difflib

import numpy as np


def check_labels_list(labels):
    """Raise ValueError unless these are at least two different names."""
    labels = list(labels)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"labels must be at least two different names; got {labels!r}.")
    for label in labels:
        if not isinstance(label, str) or not label:
            raise ValueError(f"A label must be a name, a str that is not empty; got {label!r}.")
    return labels


def label_ids(given, labels):
    """Names, or numbers from 0, to int32 numbers.

    Raises:
        ValueError: for the first that is neither; it says where it stands.
    """
    places = {label: place for place, label in enumerate(labels)}
    numbers = np.zeros(len(given), "int32")
    for place, label in enumerate(given):
        if isinstance(label, (int, np.integer)) and not isinstance(label, bool):
            fits, number = 0 <= label < len(labels), int(label)
        else:
            number = places.get(label) if isinstance(label, str) else None
            fits = number is not None
        if not fits:
            close = difflib.get_close_matches(str(label), labels, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"Labels must be among {_shown(labels)}; got {label!r} at position {place}.{hint}"
            )
        numbers[place] = number
    return numbers


def require_equal_counts(x, y, what="text", kind="label"):
    """Raise ValueError unless there is a label for each text."""
    if y is None:
        raise ValueError(f"There must be a {kind} for each {what}; got none.")
    if len(x) != len(y):
        raise ValueError(
            f"There must be a {kind} for each {what}; got {len(y)} for {len(x)} {what}s."
        )


def _shown(labels):
    text = ", ".join(map(repr, labels[:12]))
    return f"{text}, ... ({len(labels)} in all)" if len(labels) > 12 else text
