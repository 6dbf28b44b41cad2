"""Arguments of a generation: what must hold of each."""

import numpy as np


def check_whole(name, value, least=1, hint=""):
    """Raise ValueError unless a value is a whole number of at least `least`."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}{hint}; got {value!r}.")


def check_number(name, value, rule, is_right):
    """Raise TypeError unless a value is a number, ValueError unless it obeys a rule."""
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if not is_number or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, {rule}; got {value!r}.")
    if not is_right(value):
        raise ValueError(f"{name} must be {rule}; got {value!r}.")


def check_finite(name, value):
    """Raise TypeError unless a value is a number, ValueError unless it is finite."""
    check_number(name, value, "finite", np.isfinite)


def check_seed(seed):
    """Raise ValueError unless a seed is a whole number that a hash of 32 bits tells from others."""
    is_whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not is_whole or not -(2**31) <= seed < 2**32:
        raise ValueError(
            "seed must be a whole number from -2**31 to 2**32 - 1, or a list with one for each "
            f"prompt, or None to draw one; got {seed!r}."
        )


def check_ids(token_ids, vocab_size, what="prompt"):
    """Token ids as a list; raises ValueError unless they are ids of the vocabulary."""
    ids = np.asarray(token_ids)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise ValueError(
            f"A {what} of token ids must be a list of at least one whole number; got "
            f"{str(token_ids)[:60]}."
        )
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(
            f"Token ids must be from 0 to {vocab_size - 1}, the model's vocabulary; got "
            f"{int(ids.min() if ids.min() < 0 else ids.max())}. Encode with the model's tokenizer."
        )
    return ids.tolist()
