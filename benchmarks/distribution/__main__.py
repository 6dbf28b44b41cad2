"""The distribution table: `python -m benchmarks.distribution`.

The same 20 steps of a GPT on ragged rows, the last batch of which does not divide, on one device
and on several, on the CPU: the largest differences of the losses after each step, of what is
measured on held-out rows after each epoch, and of the weights at the end; and whether all ranks
have the same weights.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.distribution.launch import start

TOLERANCE = 1e-5
SECONDS = 600  # of one run
ROWS = {  # of each backend: name, (strategy, processes, devices of each)
    "torch": {
        "data, 2 processes": ("data", 2, 1),
        "sharded (FSDP2), 2 processes": ("sharded", 2, 1),
    },
    "jax": {
        "data, 4 devices": ("data", 1, 4),
        "tensor, 2 x 2 devices": ("tensor", 1, 4),
        "sharded, 4 devices": ("sharded", 1, 4),
        "data, 2 processes of 2 devices": ("data", 2, 2),
        "tensor, 2 processes of 2 devices": ("tensor", 2, 2),
        "sharded, 2 processes of 2 devices": ("sharded", 2, 2),
    },
    "tensorflow": {
        "mirrored, 2 devices": ("mirrored", 1, 2),
        "data, 2 workers": ("data", 2, 1),
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--only", default="", help="rows with this in their name")
    args = parser.parse_args()
    print(
        "| backend | strategy | losses | held out | weights | ranks |\n|---|---|---:|---:|---:|---|"
    )
    is_good = True
    for backend in args.backends:
        with tempfile.TemporaryDirectory() as folder:
            one = run(backend, Path(folder) / "one", "one", 1, 1)
            for number, (name, how) in enumerate(ROWS[backend].items()):
                if args.only not in name:
                    continue
                row = compare(one, run(backend, Path(folder) / str(number), *how))
                is_good = is_good and max(row[:2]) < TOLERANCE and row[3] == "equal"
                cells = " | ".join(f"{c:.1e}" if isinstance(c, float) else c for c in row)
                print(f"| {backend} | {name} | {cells} |", flush=True)
    return 0 if is_good else 1


def run(backend, path, strategy, processes, devices):
    """`(history, [weights of each rank])`; raises SystemExit with what a process has said."""
    ranks = start(
        backend,
        "benchmarks.distribution.worker",
        [strategy, path],
        processes,
        devices,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    for rank, text in zip(ranks, said, strict=True):
        if rank.returncode:
            raise SystemExit(f"{backend}, {strategy} failed: {text[-2000:]}")
    history = json.loads(path.with_name(f"{path.name}.json").read_text())
    found = sorted(path.parent.glob(f"{path.name}.*.npz"))
    assert len(found) == processes
    return history, [dict(np.load(rank)) for rank in found]


def compare(one, found):
    """Largest differences of losses, held-out losses, weights, and whether ranks are equal."""
    differences = []
    for name in ("loss", "val_loss"):
        pairs = zip(one[0], found[0], strict=True)
        differences.append(max(abs(a[name] - b[name]) for a, b in pairs if name in a))
    weights = max(float(np.abs(one[1][0][n] - w).max()) for n, w in found[1][0].items())
    are_equal = all(
        np.array_equal(other[name], w) for other in found[1][1:] for name, w in found[1][0].items()
    )
    return [*differences, weights, "equal" if are_equal else "differ"]


if __name__ == "__main__":
    sys.exit(main())
