"""What is checked and measured, in which processes; importing this imports no backend."""

import importlib.util
import os

from benchmarks.gpu.processes import Job

MOST_SHARDS = 3  # processes of one backend and kind of precision that check at once
CORES_EACH = 4  # of a shard
# Checked a second time, where float32 may be rounded as the framework does by itself.
ROUNDED = ("layer: LSTM@float32", "fit: GPT@float32", "fit: LSTM language model@float32")

TRAINING = ("train GPT-2 124M", "train BERT-base")
WITH_DROPOUT = ("train GPT-2 124M, dropout 0.1",)
DECODING = ("decode, batch 1", "decode, batch 16")
MINE = (*TRAINING, *DECODING, *WITH_DROPOUT)
# What to wait for first, if the time should not suffice; the peers are all on PyTorch.
LIBRARIES = (
    ("zoo", "torch", MINE),
    ("plain PyTorch, compiled", "torch", TRAINING[:1]),
    ("transformers, static cache", "torch", DECODING),
    ("zoo", "jax", MINE),
    ("zoo", "tensorflow", MINE),
    ("transformers", "torch", MINE),
)


def acceptance(checks, backends, reference, quick):
    """Processes that may run at once: all checks of all backends."""
    shards = max(1, min(MOST_SHARDS, (os.cpu_count() or 1) // CORES_EACH))
    in_float32 = [name for name in checks if name.endswith("@float32")]
    in_half = [name for name in checks if not name.endswith("@float32")]
    for backend in backends:
        common = {"reference": reference, "quick": quick}
        if quick:
            yield Job("acceptance", backend, checks, **common)
            continue
        yield Job("rounded", backend, list(ROUNDED), **common)
        for i in range(shards):
            yield Job("acceptance", backend, in_float32[i::shards], **common)
            yield Job("half", backend, in_half[i::shards], **common)


def speed(backends, quick):
    """Processes that run one after the other, those of backends that have a device."""
    has_transformers = importlib.util.find_spec("transformers") is not None
    for library, backend, measures in LIBRARIES:
        is_there = has_transformers or not library.startswith("transformers")
        if backend in backends and is_there:
            yield Job("speed", backend, list(measures), library, quick=quick)
