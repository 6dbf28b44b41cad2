"""Layers as arguments of layers."""

import keras


def restore_layer(value):
    """A layer given as itself, as its serialised config, or None."""
    if not isinstance(value, dict):
        return value
    # The layer that takes this one builds it.
    return keras.saving.deserialize_keras_object({**value, "build_config": None})
