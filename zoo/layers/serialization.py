"""Layers as arguments of layers."""

import keras


def restore_layer(value):
    """A layer given as itself, as its serialised config, or None."""
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
