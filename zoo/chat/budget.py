"""What one rendering may take: steps, seconds, and the size of all that it makes."""

import contextvars
import time

MAX_STEPS = 100_000
MAX_SECONDS = 0.75  # of its thread, however busy the machine is
MAX_SIZE = 2**22  # characters of a text, or of all that a list holds
ENTRY = 64  # characters that an entry of a list counts for
MAX_INTEGER = 2**63
CURRENT = contextvars.ContextVar("budget")


class TooMuch(Exception):
    """A template takes more than it may."""


class Budget:
    """Counts steps, and looks at the clock at each."""

    def __init__(self):
        self.steps = 0
        self.deadline = time.thread_time() + MAX_SECONDS

    def step(self):
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch(f"it takes more than {MAX_STEPS} steps")
        if time.thread_time() > self.deadline:
            raise TooMuch(f"it takes more than {MAX_SECONDS} seconds")


def step():
    """Count a step of the rendering that this thread is in."""
    CURRENT.get().step()


def check_size(size):
    if size > MAX_SIZE:
        raise TooMuch(f"it makes something of a size over {MAX_SIZE}")


def made(value):
    """A value that is not too large; a step."""
    step()
    check_size(size_of(value))
    return value


def size_of(value):
    """Characters of a value and of all that it holds, counted up to `MAX_SIZE`."""
    size, waiting = 0, [value]
    while waiting and size <= MAX_SIZE:
        value = waiting.pop()
        if isinstance(value, (str, bytes)):
            size += len(value)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise TooMuch(f"it makes a number over {MAX_INTEGER}")
        elif isinstance(value, dict):
            size += ENTRY * len(value)
            check_size(size)
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            size += ENTRY * len(value)
            check_size(size)
            waiting += value
    return size
