"""Muon in bfloat16 moves weights as Keras' own does, to bfloat16's precision."""

import keras
import numpy as np
from zoo.training.muon import Muon


def moved(optimizer):
    rng = np.random.default_rng(0)
    weight = keras.Variable(rng.normal(size=(12, 20)), dtype="float32", name="kernel")
    optimizer.build([weight])
    before = keras.ops.convert_to_numpy(weight)
    for _ in range(3):
        gradient = keras.ops.convert_to_tensor(rng.normal(size=(12, 20)), "float32")
        optimizer.apply([gradient], [weight])
    return keras.ops.convert_to_numpy(weight) - before


def test_it_moves_weights_as_keras_does():
    ours, theirs = moved(Muon(0.1)), moved(keras.optimizers.Muon(0.1))
    error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert 0 < error < 0.05  # it is in bfloat16, and no worse than that


def test_it_comes_back_from_its_config():
    optimizer = Muon(0.1, adam_lr_ratio=3.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, Muon)
    assert again.adam_lr_ratio == 3.0
