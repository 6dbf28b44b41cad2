"""Stop strings: found wherever they fall among the tokens."""


def cut_at_stop(text, stop):
    """`text` up to the first of the `stop` strings in it."""
    ends = [text.find(s) for s in stop]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


class StopBuffer:
    """Hold back the end of a growing text as long as it may be the start of a stop string.

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
        certain = cut_at_stop(text, self.stop)
        self.stopped = certain != text
        if self.stopped:
            self.held = ""
            return certain
        self.held = self._possible_start(text)
        return text[: len(text) - len(self.held)]

    def flush(self):
        """What is left when nothing more comes."""
        held, self.held = self.held, ""
        return held

    def _possible_start(self, text):
        longest = max((len(s) for s in self.stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(s.startswith(text[-length:]) for s in self.stop):
                return text[-length:]
        return ""
