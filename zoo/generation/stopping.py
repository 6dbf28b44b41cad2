"""Stop strings: found wherever they fall among the tokens. The one that starts first counts."""


def cut_at_stop(text, stop):
    """`text` up to the first of the `stop` strings in it."""
    return text[: _first(text, stop)]


def is_cut(text, stop):
    """Whether a growing text is over: no stop string can still turn out to start before one."""
    first = _first(text, stop)
    return first < len(text) and _first_possible(text, stop) >= first


def _first(text, stop):
    starts = [text.find(s) for s in stop]
    return min((start for start in starts if start >= 0), default=len(text))


def _first_possible(text, stop):
    """Where the end of a text starts that may be the start of a stop string; or its length."""
    longest = max((len(s) for s in stop), default=1) - 1
    places = range(max(0, len(text) - longest), len(text))
    return next((i for i in places if any(s.startswith(text[i:]) for s in stop)), len(text))


class StopBuffer:
    """Hold back the end of a growing text as long as it may belong to a stop string.

    ```python
    buffer = StopBuffer(["\\n\\n"])
    buffer.add("one\\n")  # "one": the newline waits
    buffer.add("\\ntwo")  # "": the text is over, buffer.stopped is True
    ```
    """

    def __init__(self, stop):
        self.stop = tuple(stop)
        self.held = ""
        self.stopped = False

    def add(self, piece):
        """The text that is now certain."""
        if self.stopped:
            return ""
        text = self.held + piece
        self.stopped = is_cut(text, self.stop)
        certain = min(_first(text, self.stop), _first_possible(text, self.stop))
        self.held = "" if self.stopped else text[certain:]
        return text[:certain]

    def flush(self):
        """What is left when nothing more comes."""
        held, self.held = cut_at_stop(self.held, self.stop), ""
        return held
