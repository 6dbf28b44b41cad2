"""What a run will take, told before it begins: parameters, tokens, FLOPs, memory, time."""

import time

import numpy as np
from keras import ops

GB = 1e9
UTILISATION = 0.4  # of what a large product reaches, by a training step
# Dense bfloat16 FLOPs a second, from the makers' data sheets.
PEAKS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "V100": 125e12,
    "T4": 65e12,
    "RTX 4090": 165e12,
}


def plan_of(model, steps, batch_size, length, accumulate=1, recompute=None):
    """`{"parameters", "tokens", "flops", "memory_bytes", "seconds"}` of a run.

    A token takes 6 FLOPs a parameter that it is multiplied with, and 12 a layer, position and
    feature for attention (Kaplan et al., 2020, https://arxiv.org/abs/2001.08361, and PaLM's
    appendix B, https://arxiv.org/abs/2204.02311). Memory is weights, gradients, two moments and
    what accumulates, each in float32, and the activations that the backward pass reads. The time
    is a guess from how fast this machine multiplies two matrices.

    Args:
        model: a task over a backbone.
        steps: int, batches.
        batch_size, length: int, rows of a batch and tokens of a row.
        accumulate: int, batches of an update.
        recompute: that of `compile`.
    """
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_variables)
    tokens = steps * batch_size * length
    flops = tokens * flops_of_token(model, length)
    again = 1 if recompute is None else 4 / 3  # a third forward pass to each backward one
    copies = 4 + (accumulate > 1)  # weights, gradients, two moments, accumulators
    memory = 4 * (copies * trained + model.count_params() - trained)
    memory += activation_bytes(model, batch_size, length, recompute)
    return {
        "parameters": model.count_params(),
        "tokens": tokens,
        "flops": flops,
        "memory_bytes": memory,
        "seconds": again * flops / (UTILISATION * product_speed(model.compute_dtype)),
    }


def flops_of_token(model, length):
    """FLOPs of a token of training in a row of `length` tokens."""
    backbone = model.backbone
    multiplied = sum(
        int(np.prod(w.shape)) for w in model.weights if len(w.shape) > 1 and not is_table(w)
    )
    multiplied += backbone.get_config()["hidden_dim"] * backbone.vocab_size  # the tied head
    sizes = backbone.get_config()
    layers = 0 if backbone.is_recurrent else sizes["num_layers"]
    return 6 * multiplied + 12 * layers * sizes["hidden_dim"] * length


def is_table(weight):
    return "embedding" in weight.path


def activation_bytes(model, batch_size, length, recompute=None):
    """What the backward pass reads of a Transformer's forward pass: 34 bytes a feature.

    Korthikanti et al., 2022, https://arxiv.org/abs/2205.05198, in 16 bits, twice that in 32;
    attention's scores are not kept. Where blocks are computed again, it is that of one of them and
    the inputs of all.
    """
    sizes = model.backbone.get_config()
    width = 2 if "16" in str(model.compute_dtype) else 4
    layers = sizes["num_layers"]
    size = 17 * width * layers if recompute is None else 17 * width + width * layers
    return size * batch_size * length * sizes["hidden_dim"]


def product_speed(dtype, size=1024, seconds=0.2):
    """FLOPs a second of a matrix product here."""
    x = ops.cast(np.ones((size, size), "float32"), dtype)
    float(ops.sum(ops.matmul(x, x)))
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        float(ops.sum(ops.matmul(x, x)[:1, :1]))
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def device_peak():
    """The FLOPs a second that this device's maker tells of, summed over its devices; or None."""
    names = device_names()
    found = [next((p for n, p in PEAKS.items() if n in name), None) for name in names]
    return sum(found) if found and all(found) else None


def device_names():
    """Names of the accelerators that Keras computes on."""
    from zoo.backends import backend

    return backend.device_names()


def lines(plan):
    """The plan as lines of text."""
    return [
        f"parameters  {plan['parameters']:,}",
        f"tokens      {plan['tokens']:,}",
        f"compute     {plan['flops']:.2e} FLOPs",
        f"memory      about {plan['memory_bytes'] / GB:.2f} GB",
        f"time        about {duration(plan['seconds'])}",
    ]


def duration(seconds):
    """A time in words: 3 h 20 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute or less"
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours)
    return " ".join([*parts, *[f"{minutes} min"] * (bool(minutes) and not days)])
