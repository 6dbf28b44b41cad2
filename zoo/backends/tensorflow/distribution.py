"""Devices of TensorFlow that train one model, by a MirroredStrategy.

Gradients are added up before they are clipped, so that the norm is that of the whole batch's.
"""

import os

import tensorflow as tf

from zoo.backends.world import WORLD

_SCOPES = []  # entered for the life of the process


def distribute(**layout):
    """Mirror models over all GPUs, or all virtual CPUs where there are none."""
    if layout:
        raise ValueError(
            f"On TensorFlow each device holds the whole model; got {', '.join(layout)}. Parallel "
            "layers and sharded weights are for JAX."
        )
    if "TF_CONFIG" in os.environ:
        raise ValueError(
            "Several workers of TensorFlow are not supported, since Keras' fit cannot run them; "
            "use the JAX or the PyTorch backend, or one worker with several devices."
        )
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(devices) > 1 and not _SCOPES:
        strategy = tf.distribute.MirroredStrategy(devices)
        _SCOPES.append(strategy.scope())
        _SCOPES[0].__enter__()
        WORLD.shards = strategy.num_replicas_in_sync
        WORLD.is_distributed = True
    return WORLD


def require_distribution():
    """Raise ValueError where several workers would train models that drift apart."""
    if "TF_CONFIG" in os.environ:
        distribute()


def total(value):
    """The sum of a scalar over all replicas, in one of them."""
    if WORLD.shards == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def add_up(optimizer, gradients):
    """The gradients of all replicas added up; the optimizer then leaves them so."""
    if WORLD.shards == 1:
        return gradients
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer._all_reduce_sum_gradients = list
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))


def agree(model, facts):
    """Nothing: there is one process."""


def tell_all(value):
    """The object itself: there is one process."""
    return value
