"""Keras on PyTorch, imported without JAX.

Keras imports JAX wherever it is installed, to mend a detail of old versions for one callback. On
PyTorch that takes half a second and 100 MB for nothing, so JAX is out of sight meanwhile.
"""

import importlib
import os
import sys


def import_keras():
    """Import Keras, unless it or JAX has been imported already."""
    is_early = not {"keras", "jax"} & set(sys.modules)
    if os.environ.get("KERAS_BACKEND") != "torch" or not is_early:
        return
    importlib.import_module("torch")  # it may look for JAX as it likes
    sys.modules.setdefault("jax", None)
    try:
        importlib.import_module("keras")
    finally:
        if sys.modules["jax"] is None:
            del sys.modules["jax"]
