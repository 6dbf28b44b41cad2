"""A bar for what takes long, silent where there is little to wait for."""

import time

import keras

QUIET_SECONDS = 3  # before a bar appears by itself


class Progress:
    """A progress bar, which by itself appears only where there is something to wait for.

    Args:
        total: int, how many there are.
        verbose: 0 for no bar, 1 for one, `"auto"` for one after a few seconds.
        unit: str, what they are called.
    """

    def __init__(self, total, verbose="auto", unit="text"):
        self._bar = keras.utils.Progbar(total, unit_name=unit) if verbose else None
        self._is_shy = verbose == "auto"
        self._began, self._done, self._total = time.monotonic(), 0, total

    def add(self, count):
        """So many more are done."""
        self._done += count
        is_slow = time.monotonic() - self._began > QUIET_SECONDS
        if self._bar and (not self._is_shy or (is_slow and self._done < self._total)):
            self._is_shy = False
            self._bar.update(self._done)


def shown(items, unit):
    """The items of a list, one by one, with a bar where they take long."""
    bar = Progress(len(items), unit=unit)
    for item in items:
        yield item
        bar.add(1)
