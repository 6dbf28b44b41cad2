"""Devices and workers of TensorFlow that train one model.

The devices of one process are a MirroredStrategy's. Keras' `fit` cannot run a strategy of several
workers, so each worker trains as if it were alone, on its rows of every batch, and the steps add
up between them what a single one would have seen: tokens, gradients, metrics. Gradients are added
up before they are clipped, so that the norm is that of the whole batch's.
"""

import contextlib
import hashlib
import itertools
import json
import os

import keras
import numpy as np
import tensorflow as tf

from zoo.backends.world import WORLD

SECONDS = 60  # to wait for another worker
GROUP = 2**20  # the workers; lower numbers are TensorFlow's
_SCOPES = []  # entered for the life of the process
_WORKERS = []  # what watches over the other workers, for the life of the process
_ORDER = []  # a variable by which sums follow each other; else two workers wait for two sums
_MEETINGS = itertools.count(2**20)  # a number for each sum; all workers trace them in one order


def distribute(**layout):
    """Join the workers of TF_CONFIG; or mirror models over the GPUs or virtual CPUs that are here.

    Several workers have a device each.
    """
    if layout:
        raise ValueError(
            f"On TensorFlow each device holds the whole model; got {', '.join(layout)}. Parallel "
            "layers are for JAX, sharded weights for JAX and PyTorch."
        )
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    workers, rank = workers_of(os.environ.get("TF_CONFIG"))
    if len(workers) > 1:
        meet(workers, rank, kind)
        return WORLD
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(devices) > 1 and not _SCOPES:
        strategy = tf.distribute.MirroredStrategy(devices)
        _SCOPES.append(strategy.scope())
        _SCOPES[0].__enter__()
        WORLD.shards = strategy.num_replicas_in_sync
        WORLD.is_distributed = True
    return WORLD


def workers_of(config):
    """`(addresses, own number)` of a TF_CONFIG.

    Raises:
        ValueError: it is not JSON of workers alone.
    """
    if not config or config.strip() == "{}":
        return [], 0
    try:
        found = json.loads(config)
        (workers,) = [found["cluster"].get("worker", [])]
        others = sorted(found["cluster"].keys() - {"worker"})
        rank = found["task"]["index"]
        is_worker = found["task"]["type"] == "worker" and 0 <= rank < len(workers)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            'TF_CONFIG must be JSON such as {"cluster": {"worker": ["host:port", ...]}, "task": '
            f'{{"type": "worker", "index": 0}}}}; got {config[:200]!r}.'
        ) from None
    if others or not is_worker:
        raise ValueError(
            "All tasks of TF_CONFIG must be workers, the first of which writes; got "
            f"{', '.join(others) or found['task']}."
        )
    return workers, rank


def meet(workers, rank, kind):
    """Let this worker and the others find each other."""
    if _WORKERS:
        return
    count = len(tf.config.list_physical_devices(kind))
    if count > 1:
        raise ValueError(
            f"Several workers must have one device each; this one has {count}. Start a worker for "
            "each GPU, with CUDA_VISIBLE_DEVICES set to its number."
        )
    try:
        _WORKERS.append(tf.distribute.MultiWorkerMirroredStrategy())
    except RuntimeError as error:
        raise ValueError(
            "distribute() must come before anything is computed: TensorFlow has begun already "
            f"({str(error).splitlines()[0]})."
        ) from error
    _ORDER.append(tf.Variable(0.0, trainable=False))
    WORLD.rank, WORLD.size = rank, len(workers)
    WORLD.shards, WORLD.is_distributed = WORLD.size, True


def require_distribution():
    """Raise ValueError where several workers would train models that drift apart."""
    workers, _ = workers_of(os.environ.get("TF_CONFIG"))
    if len(workers) > 1 and not WORLD.is_distributed:
        raise ValueError(
            f"This is one of {len(workers)} workers, which would each train a model of its own. "
            "Put `zoo.training.distribute()` before the model is made."
        )


def total(value):
    """The sum of a tensor over all replicas, in each of them."""
    if WORLD.shards == 1:
        return value
    if WORLD.size > 1:
        return tf.raw_ops.CollectiveReduceV2(
            input=value,
            group_size=WORLD.size,
            group_key=GROUP,
            instance_key=next(_MEETINGS),
            ordering_token=[_ORDER[0].handle],
            merge_op="Add",
            final_op="Id",
            timeout_seconds=SECONDS,
        )
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def summed(values):
    """Tensors, each summed over all workers, in one message for each dtype."""
    values, sums = [tf.convert_to_tensor(value) for value in values], {}
    for dtype in dict.fromkeys(value.dtype for value in values):
        places = [i for i, value in enumerate(values) if value.dtype == dtype]
        flat = total(tf.concat([tf.reshape(values[i], [-1]) for i in places], 0))
        parts = tf.split(flat, [values[i].shape.num_elements() for i in places])
        for i, part in zip(places, parts, strict=True):
            sums[i] = tf.reshape(part, values[i].shape)
    return [sums[i] for i in range(len(values))]


def add_up(optimizer, gradients):
    """The gradients of all replicas added up; the optimizer then leaves them so."""
    if WORLD.shards == 1:
        return gradients
    if WORLD.size > 1:
        known = [gradient for gradient in gradients if gradient is not None]
        sums = iter(summed(known))
        return [None if gradient is None else next(sums) for gradient in gradients]
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    optimizer._all_reduce_sum_gradients = list
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))


def agree(model, facts):
    """Give all the weights of rank 0; raise ValueError if they are to train unlike things."""
    if WORLD.size == 1:
        return
    digests = np.zeros((WORLD.size, 32), "float32")
    digests[WORLD.rank] = list(hashlib.sha256(facts.encode()).digest())
    digests = total(digests).numpy()
    others = [rank for rank, one in enumerate(digests) if (one != digests[0]).any()]
    if others:
        raise ValueError(
            "All ranks must have the same model, optimizer and data; those of rank "
            f"{', '.join(map(str, others))} are not those of rank 0."
        )
    values = [variable.value for variable in model.variables]
    values = summed([value if WORLD.rank == 0 else tf.zeros_like(value) for value in values])
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)


def tell_all(value):
    """The number of rank 0, on all ranks."""
    if WORLD.size == 1:
        return value
    text = json.dumps(value).encode().ljust(64) if WORLD.rank == 0 else bytes(64)
    return json.loads(bytes(int(one) for one in total(np.array(list(text), "float32")).numpy()))


def worker_stopped(error):
    """What to say where the workers could not add something up."""
    return (
        f"Rank {WORLD.rank} waited for another rank, which has stopped. Start all again: a run "
        f"with a Checkpoint goes on. ({str(error.message).splitlines()[0][:120]})"
    )


def whole(variable):
    """The array of a variable."""
    return keras.ops.convert_to_numpy(variable.value)


def put_whole(variable, array):
    """Assign a whole array."""
    variable.assign(array)


def whole_weights(model):
    """A context in which the first process may read a model; here it always may."""
    return contextlib.nullcontext()
