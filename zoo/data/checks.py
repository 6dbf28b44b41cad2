"""What data must be before anything is made of it."""

import numpy as np

from zoo.models.base import as_inputs


def require_something(x):
    """Refuse None and empty lists."""
    if x is None or (isinstance(x, (list, tuple)) and len(x) == 0):
        raise ValueError(
            f"Expected text, arrays or a Keras dataset with something in it; got {x!r}."
        )


def is_array(x):
    """Whether `x` is an array of any kind, or nested lists that stand for one."""
    return hasattr(x, "__array__") or (isinstance(x, (list, tuple)) and not is_text(x))


def is_text(x):
    """Whether `x` is a string or a list, tuple or array of strings (judged by its first item)."""
    if isinstance(x, str):
        return True
    is_object_array = getattr(getattr(x, "dtype", None), "kind", None) in ("O", "U", "S")
    if isinstance(x, (list, tuple)) or is_object_array:
        return len(x) > 0 and isinstance(x[0], (str, bytes, type(None)))
    return False


def check_token_ids(x, backbone):
    """Refuse arrays of token ids that the backbone has no rows for; datasets pass unseen."""
    if not (is_array(x) or isinstance(x, dict)):
        return
    token_ids = np.asarray(as_inputs(x)["token_ids"])
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
    if token_ids.shape[1] > backbone.max_length:
        raise ValueError(
            f"A sequence must fit into the context of {backbone.max_length} tokens; got "
            f"{token_ids.shape[1]}. Shorten or split the text."
        )


def check_labels(x, y, sample_weight, backbone):
    """Refuse arrays of labels and weights that do not fit their token ids; datasets pass unseen."""
    if not is_array(y) or np.ndim(y) != 2:  # a loss of the user's own may take other labels
        return
    labels, shape = np.asarray(y), np.shape(as_inputs(x)["token_ids"])
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
