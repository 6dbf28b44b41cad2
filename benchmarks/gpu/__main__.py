"""Check every backend on a GPU, measure it beside its peers, write RESULTS-GPU.md.

Exit status: 0 when all passed, 1 when something failed, 2 when there is no GPU.
"""

import argparse
import importlib.util
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.gpu import plan
from benchmarks.gpu.processes import Job, ask, run_checks
from benchmarks.gpu.report import write_report
from benchmarks.gpu.results import Results
from benchmarks.machine import describe_versions

BACKENDS = ("torch", "jax", "tensorflow")
PARTS = ("acceptance", "speed")
ROUNDED = " (rounded as the framework does)"


def main():
    args = parse_arguments()
    start = time.monotonic()
    devices, checks, missing = ask_devices(args)
    if args.device:
        return 0
    if not any(device["is_gpu"] for device in devices.values()) and not args.quick:
        print(f"No GPU is seen by {', '.join(args.backend)}: --quick tries this on a CPU.")
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    context = {
        "devices": {name: device["device"] for name, device in devices.items()},
        "versions": describe_versions(),
        "quick": args.quick,
    }
    run = Run(args, Results.resume(args.out, context, args.only), start)
    for backend, why in missing.items():
        run.note("acceptance", backend, "zoo", "device: the backend starts@float32", why)
    usable = [name for name in devices if devices[name]["is_gpu"] or args.quick]
    for backend in devices.keys() - set(usable):
        told = {"passed": None, "value": "not run: it sees no GPU"}
        run.note("acceptance", backend, "zoo", "device: the backend starts@float32", told)
    if "acceptance" in args.only:
        run.accept(checks, usable)
    if "speed" in args.only:
        run.measure(usable)
    path = write_report(run.results, args.out)
    rows = [row for part in args.only for row in run.results.of(part)]
    failed = sum(row["passed"] is False for row in rows)
    print(f"{failed} of {len(rows)} failed. {path.name} is in {args.out}.")
    return 1 if failed else 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--backend",
        type=lambda text: choices(text, BACKENDS),
        default=[name for name in BACKENDS if importlib.util.find_spec(name)],
        help=f"some of {', '.join(BACKENDS)}, joined by commas; default: those installed",
    )
    parser.add_argument(
        "--only",
        type=lambda text: choices(text, PARTS),
        default=PARTS,
        help="acceptance or speed; the other's rows in --out stay",
    )
    parser.add_argument("--quick", action="store_true", help="toy models, without a GPU if need be")
    parser.add_argument("--device", action="store_true", help="show the devices and end")
    parser.add_argument("--minutes", type=float, help="begin nothing after these: 8; 60 of --quick")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1], help="default: benchmarks/"
    )
    return parser.parse_args()


def choices(text, known):
    chosen = text.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"must be of {', '.join(known)}; got {', '.join(unknown)}."
        )
    return chosen


def ask_devices(args):
    """`{backend: {"device": ..., "is_gpu": ...}}`, the names of all checks, and what failed."""
    jobs = [Job("describe", backend, quick=args.quick) for backend in args.backend]
    with ThreadPoolExecutor(len(jobs)) as pool:
        answers = list(pool.map(ask, jobs))
    devices, checks, missing = {}, [], {}
    for job, (answer, why) in zip(jobs, answers, strict=True):
        if answer is None:
            missing[job.backend] = {"passed": False, "error": why}
            print(f"{job.backend} does not start: {why}", flush=True)
            continue
        checks = answer.pop("checks")
        devices[job.backend] = answer
        print(f"{job.backend}: {answer['device']}", flush=True)
    return devices, checks, missing


class Run:
    """One run of the program: what it was asked for, what has come of it, and its clock."""

    def __init__(self, args, results, start):
        self.args = args
        self.results = results
        self.start = start
        self.deadline = start + 60 * (args.minutes or (60 if args.quick else 8))
        self._lock = threading.Lock()

    def accept(self, checks, backends):
        """All checks on all backends at once: no clock is read that they could disturb."""
        quick = self.args.quick
        with tempfile.TemporaryDirectory(prefix="zoo-gpu-") as scratch:
            reference = Path(scratch) / "reference.json"
            # Backends agree on a CPU, so the one that compiles nothing speaks for all.
            speaker = "torch" if "torch" in backends else backends[0]
            job = Job("reference", speaker, reference=reference, quick=quick)
            with (Path(scratch) / "errors").open("w") as errors, job.start(errors) as process:
                try:
                    jobs = list(plan.acceptance(checks, backends, reference, quick))
                    with ThreadPoolExecutor(len(jobs)) as pool:
                        list(pool.map(self._run, jobs))
                finally:
                    process.kill()

    def measure(self, backends):
        """One process after the other: each has the device for itself."""
        for job in plan.speed(backends, self.args.quick):
            self._run(job)

    def _run(self, job):
        part = "speed" if job.role == "speed" else "acceptance"
        suffix = ROUNDED * (job.role == "rounded")
        run_checks(
            job,
            self.deadline,
            lambda name, result: self.note(part, job.backend, job.library, name, result, suffix),
        )

    def note(self, part, backend, library, name, result, suffix=""):
        """Keep what came of a check, write it all down, and say it."""
        check, _, precision = name.partition("@")
        row = {"part": part, "backend": backend, "library": library, "check": check + suffix}
        row |= {"precision": precision or "mixed_bfloat16", **result}
        mark = {True: "pass", False: "FAIL", None: "    "}[row["passed"]]
        told = row.get("error") or row.get("value", "")
        who = backend if library == "zoo" else library
        with self._lock:
            self.results.add(row)
            write_report(self.results, self.args.out)
            elapsed = f"{time.monotonic() - self.start:5.0f} s"
            line = f"{elapsed}  {mark}  {who}: {row['check']}, {row['precision']}: {told}"
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
