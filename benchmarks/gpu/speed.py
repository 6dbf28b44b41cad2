"""Tokens a second: of training, and of writing; of this library and of its peers alike.

Every library trains on the same arrays in batches of the same size, weights in float32 and products
in bfloat16, with AdamW and the gradients' norm clipped, without dropout unless a measure says so.
A lap is some steps of training, or a call of generate, and ends when the device is done.
"""

import dataclasses
import importlib
import statistics
import time

import numpy as np

from benchmarks import inputs
from benchmarks.gpu import devices
from benchmarks.sizes import SIZES, Sizes

LAPS = 5
LAP_SECONDS = 0.7
PROMPT, NEW_TOKENS = 32, 128
GPT = dataclasses.replace(SIZES["gpt2"], dropout=0.0)
BERT = Sizes(30_522, 12, 768, 12, context=512, dropout=0.0, family="bert")
GIB = 2**30

LIBRARIES = {
    "zoo": "benchmarks.gpu.zoo_library",
    "plain PyTorch, compiled": "benchmarks.gpu.peers",
    "transformers": "benchmarks.gpu.peers",
    "transformers, static cache": "benchmarks.gpu.peers",
}


def measure(library, names, quick, run_all):
    """Run measures of a library in this process; `run_all` is that of the worker."""
    module = importlib.import_module(LIBRARIES[library])
    made, device = module.LIBRARIES[library](quick), devices.current()

    def run(name):
        kind, _, rest = name.partition(" ")
        if kind.startswith("decode"):
            return decoding(made, int(name.split()[-1]), quick)
        dropout = float(rest.split()[-1]) if "dropout" in rest else 0.0
        return training(made, device, "gpt" if "GPT" in rest else "bert", dropout, quick)

    run_all(names, run, device)


def training(library, device, family, dropout, quick):
    sizes = choose(GPT if family == "gpt" else BERT, quick, dropout)
    rows = choose_rows(device, sizes, quick)
    make = library.gpt_trainer if family == "gpt" else library.bert_trainer
    fit = make(sizes)

    def lap(steps):
        ids, labels = inputs.training_rows(sizes, rows * steps, sizes.context)
        if family == "bert":
            labels = inputs.labels(sizes, rows * steps)
        return seconds(lambda: fit(ids, labels, rows))

    first = lap(1)
    lap(2)
    steps = int(np.clip(LAP_SECONDS / (lap(2) / 2), 1, 40)) if not quick else 2
    lap(steps)  # arrays of another size may be compiled for
    laps = [lap(steps) / steps for _ in range(2 if quick else LAPS)]
    per_second = rows * sizes.context / statistics.median(laps)
    achieved = per_second * flops_per_token(sizes, family)
    most = devices.peak(device.describe()["name"], "bfloat16")
    return {
        "passed": None,
        "value": f"{per_second:,.0f} tokens/s",
        "tokens": per_second,
        "flops": achieved,
        "mfu": achieved / most if most else None,
        "work": f"{rows} rows of {sizes.context} tokens",
        "first": round(first, 1),
        "spread": (max(laps) - min(laps)) / statistics.median(laps),
        "memory": device.peak_bytes(),
    }


def decoding(library, batch_size, quick):
    sizes, new_tokens = choose(GPT, quick, 0.0), 8 if quick else NEW_TOKENS
    write = library.writer(sizes)
    prompts = inputs.prompts(sizes, [PROMPT if not quick else 4] * batch_size)

    def lap():
        return seconds(lambda: check_written(write(prompts, new_tokens), prompts, new_tokens))

    first = lap()
    lap()
    laps = [lap() for _ in range(2 if quick else LAPS)]
    middle = statistics.median(laps)
    return {
        "passed": None,
        "value": f"{batch_size * new_tokens / middle:,.0f} tokens/s",
        "tokens": batch_size * new_tokens / middle,
        "work": f"{new_tokens} new tokens, {1000 * middle / new_tokens:.2f} ms a step",
        "first": round(first, 1),
        "spread": (max(laps) - min(laps)) / middle,
    }


def check_written(rows, prompts, new_tokens):
    """All libraries must have written as much."""
    lengths = {len(row) for row in rows}
    if lengths != {len(prompts[0]) + new_tokens}:
        raise ValueError(
            f"Every row must have {len(prompts[0])} + {new_tokens} tokens; got {sorted(lengths)}."
        )


def choose(sizes, quick, dropout):
    if quick:
        sizes = dataclasses.replace(
            sizes, vocab_size=600, num_layers=1, hidden_dim=32, num_heads=2, context=32
        )
    return dataclasses.replace(sizes, dropout=dropout)


def choose_rows(device, sizes, quick):
    """As many rows as all libraries have room for: the logits of GPT-2 are what is large."""
    memory = (device.describe().get("memory") or 0) / GIB
    rows = 16 if memory > 45 else 8 if memory > 16 else 4  # JAX tells three quarters of it
    return 2 if quick else rows * GPT.context // sizes.context


def flops_per_token(sizes, family):
    """Of a training step: 6 for each weight of a product, and those of attention's scores.

    Chowdhery et al., 2022, appendix B, https://arxiv.org/abs/2204.02311; causal attention is
    counted like any other, as is usual.
    """
    weights = 12 * sizes.num_layers * sizes.hidden_dim**2
    if family == "gpt":
        weights += sizes.vocab_size * sizes.hidden_dim
    return 6 * weights + 12 * sizes.num_layers * sizes.hidden_dim * sizes.context


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
