"""The arguments of a run, such as `fit`: what must hold of each, found before any work is done."""

import keras
import numpy as np

from zoo.checks import require_flag, require_whole, shown


def require_verbose(name, value):
    """Refuse what says nothing of a progress bar."""
    if not (isinstance(value, (int, str)) and value in ("auto", 0, 1, 2)):
        raise ValueError(
            f"{name} must be 'auto', 0 for no progress bar, 1 for one, or 2 for a line an epoch; "
            f"got {shown(value)}."
        )


def require_shuffle(name, value):
    """Refuse what is neither True, False nor "auto"."""
    if not isinstance(value, (bool, np.bool_)) and not (isinstance(value, str) and value == "auto"):
        raise TypeError(f"{name} must be True, False or 'auto'; got {shown(value)}.")


def require_callbacks(name, value):
    """Refuse what is no callback of Keras, several, nor None."""
    callback, several = keras.callbacks.Callback, keras.callbacks.CallbackList
    if isinstance(value, several):
        return
    for one in keras.tree.flatten([] if value is None else value):
        if not isinstance(one, callback):
            raise TypeError(f"{name} must be keras.callbacks.Callback objects; got {shown(one)}.")


def require_frequency(name, value):
    """Refuse what is neither how often to validate nor a list of epochs."""
    for one in value if isinstance(value, (list, tuple, set)) else [value]:
        require_whole(name, one, optional=False)


def from_zero(name, value):
    require_whole(name, value, smallest=0, optional=False)


RULES = {
    "callbacks": require_callbacks,
    "epochs": from_zero,
    "initial_epoch": from_zero,
    "return_dict": require_flag,
    "shuffle": require_shuffle,
    "validation_freq": require_frequency,
    "verbose": require_verbose,
}


def check_run(**arguments):
    """Refuse arguments of `fit` and its like; those without a rule are sizes, or None."""
    for name, value in arguments.items():
        RULES.get(name, require_whole)(name, value)
