"""The distribution table: `python -m benchmarks.distribution`.

The same 20 steps of a GPT on ragged rows, the last batch of which does not divide, on one device
and on several, on the CPU: the largest differences of the losses of epochs, of what is measured on
held-out rows, and of the weights at the end; and whether all ranks have the same weights.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TOLERANCE = 1e-5
ROWS = {
    "torch": {"data, 2 processes": ("data", 2)},
    "jax": {
        "data, 4 devices": ("data", 4),
        "tensor, 2 x 2 devices": ("tensor", 4),
        "sharded, 4 devices": ("sharded", 4),
    },
    "tensorflow": {"mirrored, 2 devices": ("data", 2)},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=list(ROWS), choices=ROWS)
    args = parser.parse_args()
    print(
        "| backend | strategy | losses | held out | weights | ranks |\n|---|---|---:|---:|---:|---|"
    )
    is_good = True
    for backend in args.backends:
        with tempfile.TemporaryDirectory() as folder:
            one = run(backend, "one", 1, Path(folder) / "one")
            for name, (strategy, count) in ROWS[backend].items():
                found = run(backend, strategy, count, Path(folder) / strategy)
                row = compare(one, found)
                is_good = is_good and max(row[:2]) < TOLERANCE and row[3] == "equal"
                cells = " | ".join(f"{c:.1e}" if isinstance(c, float) else c for c in row)
                print(f"| {backend} | {name} | {cells} |", flush=True)
    return 0 if is_good else 1


def run(backend, strategy, count, path):
    """`(history, [weights of each rank])`; raises SystemExit with what a process has said."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    start = [sys.executable, "-m"]
    if backend == "torch" and count > 1:
        start += ["torch.distributed.run", "--nproc-per-node", str(count)]
        start += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m"]
    if backend == "jax":
        flag = f"--xla_force_host_platform_device_count={count}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flag}".strip()
    command = [*start, "benchmarks.distribution.worker", strategy, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{backend}, {strategy} failed: {done.stderr[-2000:]}")
    history = json.loads(path.with_name(f"{path.name}.json").read_text())
    ranks = sorted(path.parent.glob(f"{path.name}.*.npz"))
    return history, [dict(np.load(rank)) for rank in ranks]


def compare(one, found):
    """Largest differences of losses, held-out losses, weights, and whether ranks are equal."""
    differences = []
    for name in ("loss", "val_loss"):
        pairs = zip(one[0], found[0], strict=True)
        differences.append(max(abs(a[name] - b[name]) for a, b in pairs))
    weights = max(float(np.abs(one[1][0][n] - w).max()) for n, w in found[1][0].items())
    are_equal = all(
        np.array_equal(other[name], w) for other in found[1][1:] for name, w in found[1][0].items()
    )
    return [*differences, weights, "equal" if are_equal else "differ"]


if __name__ == "__main__":
    sys.exit(main())
