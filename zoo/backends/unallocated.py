"""Models that have shapes and no memory."""

import contextlib

import keras
from keras.src.backend.common import global_state

WAITING = "uninitialized_variables"


@contextlib.contextmanager
def unallocated():
    """What is built in here holds no numbers: it can be counted, and is then to be dropped.

    Keras keeps such variables in a list and fills them when it next leaves a stateless scope: they
    are taken out of it.
    """
    waiting = list(global_state.get_global_attribute(WAITING, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(WAITING, waiting)
