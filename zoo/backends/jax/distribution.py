"""Devices and processes of JAX that train one model, by Keras' distribution.

Arrays are global: a loss is a mean over the whole batch because it is written so, and the compiler
adds up what lies on several devices.
"""

import os

import jax
import keras
import numpy as np

from zoo.backends.world import WORLD

# Names of weights are the same in all families: split where a matrix product can be.
LAYOUTS = {
    "tensor": {
        ".*(qkv|query|key|value|key_value|inner|gate|up)/kernel": (None, "model"),
        ".*(qkv|query|key|value|key_value|inner|gate|up)/bias": ("model",),
        ".*(attention/output|outer|down)/kernel": ("model", None),
        ".*embedding/embeddings": (None, "model"),
    },
    "sharded": {
        ".*/kernel": (None, "batch"),
        ".*embedding/embeddings": (None, "batch"),
    },
}


def distribute(layout="data", model_parallel=None):
    """Spread batches, and perhaps weights, over all devices of all processes.

    Args:
        layout: `"data"`, each device with the whole model; `"tensor"`, `model_parallel` devices
            with a part of each product; `"sharded"`, each with a part of the weights, which are
            gathered where they are used.
        model_parallel: int, devices that share a model in `"tensor"`.
    """
    if "JAX_COORDINATOR_ADDRESS" in os.environ or "SLURM_NTASKS" in os.environ:
        jax.distributed.initialize()
    devices = keras.distribution.list_devices()
    if layout not in ("data", *LAYOUTS):
        raise ValueError(f"layout must be data, {' or '.join(LAYOUTS)}; got {layout!r}.")
    if (model_parallel is not None) != (layout == "tensor"):
        raise ValueError(
            f"model_parallel says how many devices share a model in layout='tensor'; got "
            f"{model_parallel} with {layout!r}."
        )
    if layout == "data" and len(devices) == 1:
        return WORLD
    parts = model_parallel or 1
    if len(devices) % parts:
        raise ValueError(
            f"The {len(devices)} devices must divide into groups of model_parallel; got {parts}."
        )
    WORLD.rank, WORLD.size = jax.process_index(), jax.process_count()
    WORLD.shards, WORLD.is_distributed = len(devices) // parts, True
    if layout == "data":
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        )
        return WORLD
    mesh = keras.distribution.DeviceMesh((WORLD.shards, parts), ["batch", "model"], devices)
    layouts = keras.distribution.LayoutMap(mesh)
    for pattern, axes in LAYOUTS[layout].items():
        layouts[pattern] = axes
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layouts, batch_dim_name="batch", auto_shard_dataset=False
        )
    )
    return WORLD


def require_distribution():
    """Nothing: JAX' processes find each other where they are told to alone."""


def agree(model, facts):
    """Raise ValueError where the processes differ, or a layout has split no weight at all."""
    distribution = keras.distribution.distribution()
    if isinstance(distribution, keras.distribution.ModelParallel):
        split = [v for v in model.weights if not v.value.sharding.is_fully_replicated]
        if not split and len(np.ravel(distribution.device_mesh.devices)) > 1:
            raise ValueError(
                "The layout has split none of the model's weights: none has a name that it knows, "
                f"such as {model.weights[0].path!r}. Make the model behind distribute(), or choose "
                "layout='data'."
            )
    if WORLD.size > 1:
        from jax.experimental import multihost_utils

        multihost_utils.assert_equal(
            np.frombuffer(facts.encode()[:4096].ljust(4096), "uint8"),
            "All ranks must have the same model, optimizer and data.",
        )


def tell_all(value):
    """The object of rank 0; here each process has drawn the same."""
    return value
