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
import select
import signal
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
    with (folder / "errors").open("w") as errors, Lives(backend, kind, errors) as lives:
        lives.begin(whole, epochs)
        if lives.end(START_SECONDS + 5 * epochs) != 0:
            said = (folder / "errors").read_text()[-2000:]
            raise SystemExit(f"The run of {kind} on {backend} fails by itself: {said}")
        count, lost = 0, 0
        while True:
            lives.begin(killed, epochs)
            if count < kills and lives.dies(killed / "losses.jsonl", rng):
                count += 1
                continue
            if lives.end(START_SECONDS + 5 * epochs) == 0:
                break
            lost += 1
            if lost > kills:
                raise SystemExit(f"The run of {kind} on {backend} never ends.")
    return {
        "kills": count,
        "lost": lost,
        "losses": "equal" if losses(whole) == losses(killed) else "differ",
        "weights": "equal" if same_weights(whole, killed) else "differ",
    }


class Lives:
    """Starts one process after the other from one that has imported all, and ends them.

    Args:
        backend, kind: str.
        errors: an open file, for what they say.
    """

    def __init__(self, backend, kind, errors):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.mother = subprocess.Popen(
            [sys.executable, "-u", "-m", "benchmarks.kills.worker", kind],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.mother.stdin.close()
        if self.status is None and self.mother.poll() is None:
            os.kill(self.life, signal.SIGKILL)
        self.mother.wait(START_SECONDS)

    def begin(self, folder, epochs):
        self.mother.stdin.write(json.dumps([str(folder), epochs]).encode() + b"\n")
        self.mother.stdin.flush()
        self.life, self.status = int(self.mother.stdout.readline()), None

    def end(self, seconds):
        """The status of the life when it is over, 0 for a good end; None if it goes on."""
        if self.status is None and select.select([self.mother.stdout], [], [], seconds)[0]:
            self.status = int(self.mother.stdout.readline())
        return self.status

    def dies(self, path, rng):
        """Kill the life some time after its first batch; False if it ended before."""
        before = path.stat().st_size if path.exists() else 0
        deadline = time.monotonic() + START_SECONDS
        while self.end(0.01) is None and time.monotonic() < deadline:
            if path.exists() and path.stat().st_size > before:
                if self.end(rng.uniform(0, LIVES)) is not None:
                    return False
                os.kill(self.life, signal.SIGKILL)
                self.end(START_SECONDS)
                return True
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
