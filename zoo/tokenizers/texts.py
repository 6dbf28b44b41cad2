"""What may be encoded: text and batches of text, and the errors for everything else."""

import numpy as np


def as_texts(texts):
    """A batch of texts as a list. Raises TypeError for what is no batch."""
    if isinstance(texts, np.ndarray) and texts.ndim == 1:
        return texts.tolist()
    if isinstance(texts, (list, tuple)):
        return list(texts)
    raise TypeError(f"Text must be a str or a list of str; got {describe(texts)}.")


def text_error(texts):
    """The error for the first of `texts` that is not text."""
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            return TypeError(f"Text must be str; got {describe(text)} at position {position}.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            return ValueError(
                f"Text must be valid Unicode; the text at position {position} has a lone surrogate "
                f"at character {error.start}. Read the file with the right encoding."
            )
    return TypeError("Text must be a str or a list of str.")


def describe(value):
    if isinstance(value, (bytes, bytearray)):
        return f"{type(value).__name__} (decode it first: value.decode('utf-8'))"
    return f"{type(value).__name__} {str(value)[:40]!r}"
