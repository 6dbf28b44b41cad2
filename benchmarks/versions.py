"""This checkout beside another one of this library, lap by lap in turn: did a change cost speed?

    python -m benchmarks.versions ../before --rounds 5

The other checkout has an environment of its own in .venv. Two processes are kept, one of each; both
get warm, then each takes a lap in turn, so that a machine whose speed drifts drifts for both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.claims import BACKENDS
from benchmarks.runner import NO_GPU, ROOT, THREAD_SETTINGS

CLAIMS = ("train-small", "generate-1", "finetune", "lstm-train", "seq2seq-translate")


class Checkout:
    """A process that takes laps of one claim in a checkout."""

    def __init__(self, root, python, claim, backend):
        environment = {k: v for k, v in os.environ.items() if k not in THREAD_SETTINGS}
        environment |= NO_GPU | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = str(root)  # its `benchmarks` is imported, by the laps of here
        self.process = subprocess.Popen(
            [python, Path(__file__).with_name("laps.py"), claim],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def lap(self):
        """Seconds of one lap."""
        self.process.stdin.write("lap\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):  # Keras may print
                return json.loads(line)["seconds"]
        raise RuntimeError(f"A process ended: {self.process.args}. Run it by hand.")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(other, claim, backend, rounds):
    """Ratios of the other checkout's seconds to this one's: above 1, this one is faster."""
    before = Checkout(other, other / ".venv" / "bin" / "python", claim, backend)
    now = Checkout(ROOT, sys.executable, claim, backend)
    try:
        before.lap(), now.lap()  # both are warm by then
        return [before.lap() / now.lap() for _ in range(rounds)]
    finally:
        before.close()
        now.close()


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("other", type=Path, help="the root of another checkout")
    parser.add_argument("--only", default=",".join(CLAIMS), help=f"default: {','.join(CLAIMS)}")
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    table = Table("claim", "backend", "median ratio", "least", "most")
    for claim in args.only.split(","):
        for backend in args.backends.split(","):
            ratios = compare(args.other.resolve(), claim, backend, args.rounds)
            row = statistics.median(ratios), min(ratios), max(ratios)
            table.add_row(claim, backend, *(f"{ratio:.3f}" for ratio in row))
            print(claim, backend, *(f"{ratio:.3f}" for ratio in row), flush=True)
    Console().print(table)


if __name__ == "__main__":
    main()
