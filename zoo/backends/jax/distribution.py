"""Devices and processes of JAX that train one model, by Keras' distribution.

Arrays are global: a loss is a mean over the whole batch because it is written so, and the compiler
adds up what lies on several devices.
"""

import contextlib
import hashlib
import json
import os

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils
from keras.src.backend import distribution_lib

from zoo.backends.world import WORLD

SECONDS = 40  # until a process that says nothing counts as stopped

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
    meet()
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
        own = np.frombuffer(hashlib.sha256(facts.encode()).digest(), "uint8")
        digests = multihost_utils.process_allgather(own)
        others = [rank for rank, one in enumerate(digests) if (one != digests[0]).any()]
        if others:
            raise ValueError(
                "All ranks must have the same model, optimizer and data; those of rank "
                f"{', '.join(map(str, others))} are not those of rank 0."
            )


def meet():
    """Join the processes that the environment tells of, and draw the same as they."""
    names = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
    if jax.distributed.is_initialized():
        return
    if names[0] in os.environ:
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ValueError(
                f"A process of several needs {', '.join(names)}; there is no {missing[0]}."
            )
        how = {"num_processes": int(os.environ[names[1]]), "process_id": int(os.environ[names[2]])}
    elif int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        how = {}  # JAX finds what SLURM tells
    else:
        return
    jax.distributed.initialize(os.environ.get(names[0]), heartbeat_timeout_seconds=SECONDS, **how)
    distribution_lib.initialize_rng()


def tell_all(value):
    """The number of rank 0, on all ranks."""
    if WORLD.size == 1:
        return value
    # As text: JAX' integers are of 32 bits.
    text = np.frombuffer(json.dumps(value).encode().ljust(64), "uint8")
    return json.loads(multihost_utils.broadcast_one_to_all(text).tobytes())


def whole(variable):
    """The array of a weight, wherever its parts lie; all processes ask together."""
    value = variable.value
    if not (value.is_fully_addressable or value.is_fully_replicated):
        value = multihost_utils.process_allgather(value, tiled=True)
    return np.asarray(value)


def put_whole(variable, array):
    """Assign a whole array."""
    variable.assign(array)


@contextlib.contextmanager
def whole_weights(model):
    """A context in which each process has the whole model, and may use it alone; all enter it."""
    if WORLD.size == 1:
        yield
        return
    with model.weights_lock:
        kept = [variable._value for variable in model.variables]
        for variable in model.variables:
            variable._value = jax.numpy.asarray(whole(variable))
    try:
        yield
    finally:
        with model.weights_lock:
            for variable, value in zip(model.variables, kept, strict=True):
                variable._value = value
