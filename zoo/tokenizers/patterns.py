"""Regular expressions of a tokenizer file: those that may take for ever are refused.

The library tries alternatives by going back. A repeated part that itself matches in several ways,
as in `(a|aa)+b` or `(a+)+b`, doubles what there is to try with each letter.
"""

import re

MAX_LENGTH = 10_000  # the longest published patterns have about a thousand characters
MAX_TIMES = 8  # how often a part that matches in several ways may stand in a row
GROUP_KIND = re.compile(r"\?(?:<?[=!]|[>~|]|<\w+>|#[^)]*|[a-zA-Z-]*:?)")
QUANTIFIER = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
MANNER = re.compile(r"[?+]")  # lazy, possessive


def check_pattern(pattern, name):
    """Raise ValueError for a pattern that is too long or may take exponential time."""
    if not isinstance(pattern, str) or len(pattern) > MAX_LENGTH:
        raise ValueError(f"{name}: a pattern must be text of at most {MAX_LENGTH} characters.")
    varies = [False]  # for each open group, whether what it holds so far matches in several ways
    position = 0
    while position < len(pattern):
        group, start = False, position
        character = pattern[position]
        if character == "(":
            varies.append(False)
            kind = GROUP_KIND.match(pattern, position + 1)
            position = kind.end() if kind else position + 1
            continue
        if character == "|":
            varies[-1] = True
        if character == ")" and len(varies) > 1:
            group = varies.pop()
        position = atom_end(pattern, position)
        least, most, position = quantifier(pattern, position)
        if group and most > MAX_TIMES:
            raise ValueError(
                f"{name}: a pattern must not repeat a part that matches in several ways, as "
                f"(a+)+ does: that may take for ever. It does so at character {start} of "
                f"{pattern[:80]!r}."
            )
        varies[-1] = varies[-1] or group or least != most


def atom_end(pattern, position):
    """Where the character, escape, or class of characters that starts at `position` ends."""
    if pattern[position] == "\\":
        braces = re.compile(r"\\[pPx]\{[^}]*\}").match(pattern, position)
        return braces.end() if braces else position + 2
    if pattern[position] != "[":
        return position + 1
    depth = 0
    while position < len(pattern):
        character = pattern[position]
        depth += (character == "[") - (character == "]")
        position += 2 if character == "\\" else 1
        if character == "[" and re.compile(r"\^?\]").match(pattern, position):
            position = pattern.index("]", position) + 1  # one that comes first is a character
        if depth == 0:
            break
    return position


def quantifier(pattern, position):
    """`(least, most, end)` of how often the atom before `position` may stand."""
    found = QUANTIFIER.match(pattern, position)
    if not found or found[0] in ("{,}", "{}"):
        return 1, 1, position
    end = found.end()
    manner = MANNER.match(pattern, end)
    end = manner.end() if manner else end
    if found[0] in "*+?":
        return int(found[0] == "+"), 1 if found[0] == "?" else float("inf"), end
    least, comma, most = found.groups()
    least = int(least or 0)
    if not comma:
        return least, least, end
    return least, int(most) if most else float("inf"), end
