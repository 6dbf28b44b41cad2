"""Names of special tokens in what somebody says, told apart from those that a template writes."""

import re

FIRST_HIDDEN = 0xF0000  # of the characters that Unicode leaves to private use


def hide(messages, special_ids):
    """Put a character of private use in the place of each special token's name in messages.

    Args:
        messages: a list of dicts.
        special_ids: `{name: id}`.

    Returns:
        `(messages, hidden)`: `hidden` is `{character: name}` of those that were there.
    """
    characters = {name: chr(FIRST_HIDDEN + i) for i, name in enumerate(special_ids)}
    found = {}

    def hidden(value):
        if isinstance(value, str):
            for name in names_in(value, special_ids):
                found[characters[name]] = name
            return pattern_of(special_ids).sub(lambda match: characters[match[0]], value)
        if isinstance(value, dict):
            return {key: hidden(item) for key, item in value.items()}
        return [hidden(item) for item in value] if isinstance(value, (list, tuple)) else value

    return [hidden(message) for message in messages] if special_ids else messages, found


def show(text, hidden):
    """A text with the names again that `hide` took out."""
    return "".join(hidden.get(character, character) for character in text)


def split(text, special_ids):
    """The parts of a text: special tokens as their ids, and what is between as text."""
    parts = pattern_of(special_ids, kept=True).split(text)
    return [special_ids.get(part, part) for part in parts if part]


def names_in(text, special_ids):
    return pattern_of(special_ids).findall(text)


def pattern_of(names, kept=False):
    """Matches any of some names, the longest first."""
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(f"({either})" if kept else either)
