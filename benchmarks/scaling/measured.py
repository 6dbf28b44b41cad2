"""Tokens a second of several processes on this machine.

KERAS_BACKEND=torch torchrun --nproc-per-node 2 -m benchmarks.scaling.measured data
"""

import subprocess
import sys
import time

from benchmarks.distribution.launch import start

STEPS, ROWS, LENGTH = 10, 16, 128
SECONDS = 600


def measure(layout, processes):
    """Tokens a second of all processes together, behind two steps that nobody counts."""
    ranks = start(
        "torch",
        "benchmarks.scaling.measured",
        [layout],
        processes,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [rank.communicate(timeout=SECONDS)[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise SystemExit(f"{layout} with {processes} processes failed.")
    return float(said[0].split()[-1])


def main(layout):
    import keras
    import numpy as np
    from zoo.training import distribute

    import zoo

    world = distribute(layout=layout)
    keras.utils.set_random_seed(0)
    backbone = zoo.models.GPT(
        2048, num_layers=4, num_heads=4, hidden_dim=128, max_length=LENGTH, dropout=0.0
    )
    model = zoo.CausalLM(backbone)
    ids = np.random.default_rng(0).integers(0, 2048, (ROWS * (STEPS + 2), LENGTH + 1))
    moments = []
    log = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: moments.append(time.perf_counter())
    )
    model.fit(ids[:, :-1], ids[:, 1:], batch_size=ROWS, verbose=0, callbacks=[log])
    if world.rank == 0:
        print(STEPS * ROWS * LENGTH / (moments[-1] - moments[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
