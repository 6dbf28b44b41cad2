"""Several processes of PyTorch that train one model, each on its rows of every batch.

After each backward pass the gradients of all are added up, in one message for each dtype; each
process then takes the same step. What a loss is a mean over is added up before, so that the sum is
the gradient of the mean over the whole batch, however its rows are padded.
"""

import contextlib
import datetime
import hashlib
import os

import torch
from torch import distributed

from zoo.backends.torch.sharding import gathered, own_part, shard, shards_of
from zoo.backends.world import WORLD

SECONDS = 60  # to wait for another process


def distribute(layout="data", **others):
    """Join the processes that torchrun or SLURM has started.

    Args:
        layout: `"data"`, each process with the whole model; or `"sharded"`, each with a part of
            weights, gradients and optimizer, gathered block by block where they are used (FSDP2).
    """
    if layout not in ("data", "sharded") or others:
        raise ValueError(
            "On PyTorch layout must be data or sharded; got "
            f"{', '.join([repr(layout), *others])}. Parallel layers are for JAX."
        )
    names = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}
    for name, other in names.items():
        if name not in os.environ and other in os.environ:
            os.environ[name] = os.environ[other]
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return WORLD
    if not distributed.is_initialized():
        has_gpu = torch.cuda.is_available()
        if has_gpu:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        timeout = datetime.timedelta(seconds=SECONDS)
        distributed.init_process_group("nccl" if has_gpu else "gloo", timeout=timeout)
    WORLD.rank, WORLD.size = distributed.get_rank(), distributed.get_world_size()
    WORLD.shards, WORLD.is_distributed, WORLD.layout = WORLD.size, True, layout
    return WORLD


def require_distribution():
    """Raise ValueError where several processes would train models that drift apart."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not WORLD.is_distributed:
        raise ValueError(
            f"This is one of {os.environ['WORLD_SIZE']} processes, which would each train a model "
            "of its own. Put `zoo.training.distribute()` before the model is made."
        )


def total(values):
    """The sum of a float32 vector over all processes.

    Raises:
        RuntimeError: another process has stopped.
    """
    if WORLD.size == 1:
        return values
    try:
        distributed.all_reduce(values)
    except RuntimeError as error:
        raise RuntimeError(
            f"Rank {WORLD.rank} waited for another rank, which has stopped. Start all again: a "
            f"run with a Checkpoint goes on. ({str(error).splitlines()[0][:120]})"
        ) from error
    return values


def add_up(gradients):
    """Add the gradients of all processes up, in place."""
    groups = {}
    for gradient in gradients:
        groups.setdefault(gradient.dtype, []).append(gradient)
    for group in groups.values():
        flat = total(torch.cat([gradient.reshape(-1) for gradient in group]))
        parts = flat.split([gradient.numel() for gradient in group])
        pairs = zip(parts, group, strict=True)
        torch._foreach_copy_(group, [part.reshape(gradient.shape) for part, gradient in pairs])


def tell_all(value):
    """The object of rank 0, on all ranks."""
    found = [value]
    if WORLD.size > 1:
        distributed.broadcast_object_list(found, src=0)
    return found[0]


def agree(model, facts):
    """Give all ranks the weights of rank 0; raise ValueError if they are to train unlike things.

    Args:
        facts: a str of what must be the same on all ranks.
    """
    if WORLD.size == 1:
        return
    own = hashlib.sha256(facts.encode()).hexdigest()
    found = [None] * WORLD.size
    distributed.all_gather_object(found, own)
    others = [rank for rank, one in enumerate(found) if one != found[0]]
    if others:
        raise ValueError(
            "All ranks must have the same model, optimizer and data; those of rank "
            f"{', '.join(map(str, others))} are not those of rank 0."
        )
    if shards_of(model) is not None:
        return
    with torch.no_grad():
        for variable in model.variables:
            distributed.broadcast(variable.value.data, src=0)
    if WORLD.layout == "sharded":
        shard(model)


def whole(variable):
    """The array of a variable, of which each process may have a part; all ask together."""
    return gathered(variable).numpy(force=True)


def put_whole(variable, array):
    """Assign a whole array to a variable, of which each process may have a part."""
    if hasattr(variable, "whole"):
        array = own_part(array, variable.whole.parameter)
    variable.assign(array)


@contextlib.contextmanager
def whole_weights(model):
    """A context in which each process has the whole model, and may use it alone; all enter it."""
    shards = shards_of(model)
    if shards is None:
        yield
        return
    for module in shards.modules:
        module.unshard()
    try:
        yield
    finally:
        shards.let_go()
