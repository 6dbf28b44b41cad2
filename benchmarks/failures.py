"""What the table says of a measurement that failed."""

import re

LONGEST_MESSAGE = 150


def message(error):
    """The first line of an exception, without the folders of this machine."""
    lines = str(error).strip().splitlines() or [""]
    text = re.sub(r"(/[\w.@+-]+)+/", "", lines[0])
    return f"{type(error).__name__}: {text}"[:LONGEST_MESSAGE]
