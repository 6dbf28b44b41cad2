"""What data must be before anything is made of it."""

from collections.abc import Mapping

import numpy as np

from zoo.data.labels import require_finite
from zoo.data.sources import holds_numbers, model_inputs


def require_something(x):
    """Refuse None and empty lists."""
    if x is None or (isinstance(x, (list, tuple, dict)) and len(x) == 0):
        raise ValueError(
            f"Expected text, arrays or a Keras dataset with something in it; got {x!r}."
        )


def is_array(x):
    """Whether `x` is an array of numbers of any kind, or nested lists that stand for one."""
    return hasattr(x, "__array__") or isinstance(x, (list, tuple))


def as_array(x):
    """A NumPy array of an array, tensor or nested lists.

    Raises:
        ValueError: for rows of different lengths.
    """
    x = x.detach().cpu() if hasattr(x, "detach") else x
    try:
        return np.asarray(x)
    except ValueError:
        raise ValueError(
            "Rows of an array must be equally long; got some of different lengths. Pad them and "
            "pass a padding_mask, or pass text."
        ) from None


def as_inputs(x):
    """Token ids as they came, but by our names, and arrays in the place of lists."""
    if isinstance(x, (list, tuple)):
        return as_array(x)
    if not isinstance(x, Mapping):
        return x
    are_lists = {name: isinstance(value, (list, tuple)) for name, value in x.items()}
    return model_inputs({k: as_array(v) if are_lists[k] else v for k, v in x.items()})


def ids_of(x):
    """The token ids among a model's inputs."""
    return model_inputs(x)["token_ids"] if isinstance(x, dict) else x


def check_token_ids(x, backbone):
    """Refuse token ids that the backbone has no rows for."""
    token_ids = as_array(ids_of(x))
    if token_ids.ndim != 2 or token_ids.dtype.kind not in "iu":
        raise ValueError(
            "Token ids must be a (batch, length) array of whole numbers; got shape "
            f"{token_ids.shape} and dtype {token_ids.dtype}."
        )
    if token_ids.size and not 0 <= token_ids.min() <= token_ids.max() < backbone.vocab_size:
        outside = token_ids.min() if token_ids.min() < 0 else token_ids.max()
        raise ValueError(
            f"Token ids must be from 0 to {backbone.vocab_size - 1}, the model's vocabulary; got "
            f"{outside}. Encode with the model's tokenizer."
        )
    if token_ids.shape[1] > backbone.max_length and not backbone.is_recurrent:
        raise ValueError(
            f"A sequence must fit into the context of {backbone.max_length} tokens; got "
            f"{token_ids.shape[1]}. Shorten or split the text."
        )
    if isinstance(x, dict):
        check_padding(x, backbone)


def check_padding(inputs, backbone, names=None):
    """Refuse masks with padding before a token, where the model relies on causality to hide it."""
    inputs = model_inputs(inputs)
    for name in backbone.right_padded if names is None else names:
        if inputs.get(name) is not None:
            is_real = as_array(inputs[name]).astype("bool")
            if (is_real[:, 1:] & ~is_real[:, :-1]).any():
                raise ValueError(
                    f"{name}: a {type(backbone).__name__} needs its padding on the right of each "
                    "row, where no token sees it; got a row with padding before a token. Put the "
                    "padding behind the tokens."
                )


def check_labels(x, y, sample_weight, backbone):
    """Refuse arrays of labels and weights that do not fit their token ids."""
    if not is_array(y) or np.ndim(y) != 2:  # a loss of the user's own may take other labels
        return
    labels, shape = as_array(y), np.shape(ids_of(x))
    if labels.shape != shape:
        raise ValueError(
            f"There must be a label for each token id, so of shape {shape}; got {labels.shape}."
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < backbone.vocab_size:
        outside = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(
            f"Labels must be from 0 to {backbone.vocab_size - 1}, the model's vocabulary; got "
            f"{outside}. Tokens that should not count get a sample_weight of 0."
        )
    if sample_weight is not None and np.shape(sample_weight) not in (shape, shape[:1]):
        raise ValueError(
            f"sample_weight must have a number for each token, {shape}, or row, {shape[:1]}; got "
            f"shape {np.shape(sample_weight)}."
        )


def check_weights_of_rows(x, sample_weight):
    """Refuse an array of weights that are not finite, below 0, or of another number of rows."""
    if sample_weight is None or isinstance(sample_weight, dict):
        return
    weights = as_array(sample_weight)
    if not holds_numbers(weights) or weights.shape[:1] != np.shape(ids_of(x))[:1]:
        raise ValueError(
            f"sample_weight must have a number for each of the {len(ids_of(x))} rows; got shape "
            f"{weights.shape} and dtype {weights.dtype}."
        )
    require_finite(weights)
