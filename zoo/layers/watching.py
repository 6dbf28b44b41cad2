"""What goes through the layers of a model, for whoever watches: within one thread and one call."""

import contextlib
import threading
from collections.abc import Iterator

from zoo.backends.recomputing import recomputing

_watching = threading.local()


@contextlib.contextmanager
def watch() -> Iterator:
    """`{layer: {name: tensor}}` of what the layers that are called within show.

    While a step is traced they are its symbols, of use within that step alone. Of a layer that is
    called several times there is what it showed last.
    """
    before, seen = getattr(_watching, "seen", None), {}
    _watching.seen = seen
    try:
        with recomputing(False):  # what is shown must last
            yield seen
    finally:
        _watching.seen = before


def show(layer, **tensors):
    """Let a watcher, if there is one, see tensors of a layer."""
    seen = getattr(_watching, "seen", None)
    if seen is not None:
        seen[layer] = tensors
