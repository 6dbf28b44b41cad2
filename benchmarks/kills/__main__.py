"""The kill table: `python -m benchmarks.kills`.

Each run of the table is killed with SIGKILL at random moments while it trains and writes its state
after every batch, and started again each time until it is done. "Lost" counts starts that could
not go on from what was on disk; "losses" and "weights" say whether they are those of a run that was
let alone, to the bit.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

START_SECONDS = 300
LIVES = 0.6  # seconds, the most that a life lasts after its first batch


def main():
    args = parse_arguments()
    rng = random.Random(args.seed)
    print("| backend | data | kills | lost | losses | weights |\n|---|---|---:|---:|---|---|")
    is_good = True
    for backend in args.backends:
        for kind in args.kinds:
            with tempfile.TemporaryDirectory() as folder:
                row = one_row(backend, kind, Path(folder), args.kills, rng)
            is_good = is_good and row["lost"] == 0 and row["losses"] == row["weights"] == "equal"
            print(
                f"| {backend} | {kind} | " + " | ".join(map(str, row.values())) + " |", flush=True
            )
    return 0 if is_good else 1


def one_row(backend, kind, folder, kills, rng):
    epochs = max(4, kills)
    whole, killed = folder / "whole", folder / "killed"
    if start(backend, kind, whole, epochs).wait(START_SECONDS + 5 * epochs):
        raise SystemExit(f"The run of {kind} on {backend} fails by itself.")
    count, lost = 0, 0
    while True:
        process = start(backend, kind, killed, epochs)
        if count < kills and dies(process, killed / "losses.jsonl", rng):
            count += 1
            continue
        if process.wait(START_SECONDS + 5 * epochs) == 0:
            break
        lost += 1
        if lost > kills:
            raise SystemExit(f"The run of {kind} on {backend} never ends.")
    is_same = losses(whole) == losses(killed)
    return {
        "kills": count,
        "lost": lost,
        "losses": "equal" if is_same else "differ",
        "weights": "equal" if same_weights(whole, killed) else "differ",
    }


def start(backend, kind, folder, epochs):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "benchmarks.kills.worker", kind, str(folder), str(epochs)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def dies(process, path, rng):
    """Kill a process some time after its first batch; False if it ended before."""
    before = path.stat().st_size if path.exists() else 0
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.stat().st_size > before:
            time.sleep(rng.uniform(0, LIVES))
            if process.poll() is not None:
                return False
            process.kill()
            process.wait()
            return True
        time.sleep(0.01)
    return False


def losses(folder):
    """`{(epoch, batch): loss}`; a batch that was trained twice must have had one loss."""
    found = {}
    for line in (folder / "losses.jsonl").read_text().splitlines():
        try:
            epoch, batch, loss = json.loads(line)
        except ValueError:  # the line that a kill has cut
            continue
        if found.setdefault((epoch, batch), loss) != loss:
            found[epoch, batch] = f"{found[epoch, batch]} and {loss}"
    return found


def same_weights(*folders):
    first, second = (np.load(folder / "weights.npz") for folder in folders)
    return all(np.array_equal(first[name], second[name]) for name in first.files)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ["texts", "token-file", "arrays", "py-dataset", "grain"]
    parser.add_argument("--backends", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
