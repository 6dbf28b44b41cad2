"""The names of classes, what users give in their place, and what each counts."""

import difflib
import numbers
import warnings
from collections.abc import Mapping

import numpy as np

from zoo.checks import shown
from zoo.data.sources import holds_numbers, is_table, table_columns, to_list
from zoo.data.texts import is_missing, user_level

NUMBERS = (numbers.Integral, np.bool_)


def label_names(labels):
    """A list of labels in any container; whole numbers and booleans become their names.

    What is missing is no label: a column's unique values may have it among them.
    """
    if isinstance(labels, Mapping):
        raise ValueError(
            f"labels must be names in a list, in the order of the outputs; got {shown(labels)}. Of "
            "a dict from numbers to names pass list(labels.values())."
        )
    found = [as_whole(label) for label in to_list(labels) if not is_missing(label)]
    return [str(label) if isinstance(label, (str, *NUMBERS)) else label for label in found]


def beside(values):
    """Labels or weights as a list: also the one column of a table, or of an array of texts."""
    if is_table(values):
        columns = list(table_columns(values).values())
        if len(columns) != 1:
            raise ValueError(
                f"Labels and weights are one column each; got a table of {len(columns)}. Pass one "
                "of them, as in table['label']."
            )
        return to_list(columns[0])
    is_column_of_texts = getattr(values, "ndim", 1) == 2 and not holds_numbers(values)
    found = to_list(values)
    return [one for (one,) in found] if is_column_of_texts and len(found[0]) == 1 else found


def as_whole(label):
    """A float as an int, where it is one: a column with missing values holds its numbers so."""
    return int(label) if isinstance(label, float) and label.is_integer() else label


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
        label = as_whole(label)
        number = places.get(str(label)) if isinstance(label, (str, *NUMBERS)) else None
        if number is None and isinstance(label, NUMBERS) and not are_numbers:
            is_bool = isinstance(label, (bool, np.bool_))
            fits = len(labels) == 2 if is_bool else 0 <= label < len(labels)
            number = int(label) if fits else None
        if number is None:
            close = difflib.get_close_matches(str(label), labels, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"Labels must be among {shown_labels(labels)}; got {label!r} at position {place}."
                f"{hint}"
            )
        found[place] = number
    return found


def labelled(x, y, sample_weight=None, what="texts"):
    """The examples that have a label, with it and their weights; warns of how many have none.

    Raises:
        ValueError: if none has.
    """
    kept = [place for place, label in enumerate(y) if not is_missing(label)]
    if len(kept) == len(y):
        return x, y, sample_weight
    if not kept:
        raise ValueError(f"There must be a label for each of the {what}; all {len(y)} are missing.")
    if sample_weight is not None:
        sample_weight = checked_weights(sample_weight, len(y))[kept]
    warnings.warn(
        f"{len(y) - len(kept)} of {len(y)} {what} have no label and were left out.",
        stacklevel=user_level(),
    )
    return [x[place] for place in kept], [y[place] for place in kept], sample_weight


def check_count(y, count):
    """Refuse an array of labels unless there is one for each of `count` rows of token ids."""
    if y.ndim == 0 or len(y) != count:
        got = f"shape {y.shape}" if y.ndim == 0 else len(y)
        raise ValueError(
            f"There must be a label for each row of token ids; got {got} for {count} rows."
        )


def check_numbers(y, labels):
    """Refuse an array of class numbers with one that is of no class."""
    wrong = y[~((y >= 0) & (y < len(labels)) & (y == np.floor(y)))]
    if wrong.size:
        raise ValueError(
            f"Labels beside token ids must be whole numbers from 0 to {len(labels) - 1}, one for "
            f"each of {shown_labels(labels)}; got {wrong.flat[0]}. What should not count gets a "
            "sample_weight of 0."
        )


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


def weights_of_tokens(class_weight, tokenizer):
    """What each token of a vocabulary counts, float32 `(vocab_size,)`; 1 for those left out.

    Args:
        class_weight: `{token or its id: weight}`, tokens as the vocabulary spells them.
        tokenizer: a `zoo.tokenizers.Tokenizer`.

    Raises:
        ValueError: for anything else, an unknown token, or a weight that is none.
    """
    if not isinstance(class_weight, dict):
        raise ValueError(
            "class_weight must be a dict from tokens, or their ids, to weights; got "
            f"{shown(class_weight)}."
        )
    weights, size = np.ones(tokenizer.vocab_size, "float32"), tokenizer.vocab_size
    values = checked_weights(
        list(class_weight.values()), len(class_weight), "token", "class_weight"
    )
    for token, value in zip(class_weight, values, strict=True):
        place = tokenizer.token_to_id(token) if isinstance(token, str) else token
        is_id = isinstance(place, numbers.Integral) and not isinstance(place, bool)
        if not is_id or not 0 <= place < size:
            raise ValueError(f"class_weight: {token!r} is no token or id of the vocabulary.")
        weights[place] = value
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


def shown_labels(labels):
    """Labels in an error, the first dozen of them."""
    text = ", ".join(map(repr, labels[:12]))
    return f"{text}, ... ({len(labels)} in all)" if len(labels) > 12 else text
