"""The table of killed ranks: `python -m benchmarks.kills.ranks`.

Two processes train one model; the second is killed with SIGKILL in the middle of an epoch.
"Stopped" is how long the first went on, which must be less than a minute; the words are its last.
Both are started again, and go on to the losses and the weights of a run that was let alone (what
was measured before is added up in another order); and so does one process by itself, from the same
state. Losses may differ by 1e-4.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.distribution.launch import start
from benchmarks.kills.__main__ import same_weights

EPOCHS, SECONDS, TOLERANCE = 3, 400, 1e-4
ROWS = {"torch": ("data", "sharded"), "jax": ("data", "sharded"), "tensorflow": ("data",)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=list(ROWS), choices=ROWS)
    args = parser.parse_args()
    print("| backend | layout | stopped | losses of two | weights | losses of one | last words |")
    print("|---|---|---:|---:|---|---:|---|")
    is_good = True
    for backend in args.backends:
        for layout in ROWS[backend]:
            with tempfile.TemporaryDirectory() as folder:
                row = one_row(backend, layout, Path(folder))
            is_good = is_good and row[0] < 60 and max(row[1], row[3]) < TOLERANCE
            cells = f"{row[0]:.0f} s | {row[1]:.1e} | {row[2]} | {row[3]:.1e} | {row[4]}"
            print(f"| {backend} | {layout} | {cells} |", flush=True)
    return 0 if is_good else 1


def one_row(backend, layout, folder):
    """Seconds, how losses differ, whether weights are equal; losses by one process; last words."""
    whole, killed, alone = (folder / name for name in ("whole", "killed", "alone"))
    finish(begin(backend, layout, whole))
    ranks = begin(backend, layout, killed)
    seconds, words = kill_second(ranks, killed / "losses.jsonl")
    shutil.copytree(killed, alone)
    finish(begin(backend, layout, killed))
    finish(begin(backend, "data", alone, processes=1))
    expected_last = last_losses(whole)
    resumed = max(abs(loss - expected_last[p]) for p, loss in last_losses(killed).items())
    are_equal = "equal" if same_weights(whole, killed) else "differ"
    difference = max(abs(loss - expected_last[p]) for p, loss in last_losses(alone).items())
    return seconds, resumed, are_equal, difference, words


def last_losses(folder):
    """`{(epoch, batch): loss}`, the later one of a batch that was trained twice."""
    lines = (folder / "losses.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("]")]
    return {(epoch, batch): float.fromhex(loss) for epoch, batch, loss in rows}


def begin(backend, layout, folder, processes=2):
    folder.mkdir(exist_ok=True)
    arguments = [layout, folder, EPOCHS]
    return start(
        backend, "benchmarks.kills.rank", arguments, processes, stderr=subprocess.PIPE, text=True
    )


def finish(ranks):
    said = [rank.communicate(timeout=SECONDS)[1] for rank in ranks]
    for rank, text in zip(ranks, said, strict=True):
        if rank.returncode:
            raise SystemExit(f"A rank fails by itself: {text[-2000:]}")


def kill_second(ranks, path):
    """Kill the second rank within the second epoch; how long the first lives on, and its words."""
    deadline = time.monotonic() + SECONDS
    while not path.exists() or path.read_text().count("[1,") < 3:
        if time.monotonic() > deadline or ranks[0].poll() is not None:
            raise SystemExit(f"The ranks never train: {ranks[0].communicate()[1][-2000:]}")
        time.sleep(0.01)
    os.kill(ranks[1].pid, signal.SIGKILL)
    began = time.monotonic()
    said = ranks[0].communicate(timeout=SECONDS)[1]
    seconds = time.monotonic() - began
    ranks[1].communicate()
    words = [line for line in said.splitlines() if "rank" in line.lower() and "stopped" in line]
    return seconds, words[-1][:200] if words else (said.splitlines() or ["nothing"])[-1][:200]


if __name__ == "__main__":
    sys.exit(main())
