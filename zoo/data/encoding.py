"""Texts to token ids, in parts that show how far it is; a warning where little of them is known."""

from zoo.data.texts import filled, user_level
from zoo.progress import Progress

PART_CHARACTERS = 2**22  # enough to use every core


def encoded(tokenizer, texts, encode=None):
    """What a tokenizer makes of each text, the empty text in the place of what is missing.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer`.
        texts: a list of strings.
        encode: the tokenizer's method; None for `encode`.

    Raises:
        TypeError, ValueError: as `Tokenizer.encode`.
    """
    encode, texts = encode or tokenizer.encode, filled(texts)
    results, bar = [], None
    for part in parts(texts):
        try:
            results += encode(part)
        except (TypeError, ValueError):
            encode(texts)  # says where among all of them
            raise
        if len(part) < len(texts):
            bar = bar or Progress(len(texts))
            bar.add(len(part))
    rows = [one[0] if isinstance(one, tuple) else one for one in results]  # beside offsets
    tokenizer.warn_of_unknown(rows, stacklevel=user_level())
    return results


def parts(texts):
    """The texts in lists of about `PART_CHARACTERS`."""
    start, size = 0, 0
    for place, text in enumerate(texts):
        size += len(text) if isinstance(text, str) else 0
        if size >= PART_CHARACTERS:
            yield texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts):
        yield texts[start:]
