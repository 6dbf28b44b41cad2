"""Processes that report line by line: one that dies or hangs takes no other check with it."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECK_SECONDS = 170  # a check that takes longer has failed
START_SECONDS = 120
NO_GPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "KERAS_TORCH_DEVICE": "cpu",
    "OMP_NUM_THREADS": "4",  # others are at work meanwhile
}
SHARED = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several processes share the device's memory
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}
# Float32 as such, not rounded to TensorFloat-32: what is held to the CPU's numbers.
EXACT = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
ENVIRONMENTS = {"reference": NO_GPU, "acceptance": EXACT}


@dataclass
class Job:
    """Checks for one process, and for those that take its place.

    Its `role` is that of the worker: `"describe"`, `"reference"`, `"acceptance"`, `"half"` and
    `"rounded"` for acceptance with the framework's own rounding, in the latter of float32, or
    `"speed"`.
    """

    role: str
    backend: str
    checks: list = field(default_factory=list)
    library: str = "zoo"
    reference: Path | None = None
    quick: bool = False

    def start(self, errors):
        command = [sys.executable, "-m", "benchmarks.gpu.worker"]
        command += ["--role", self.role, "--backend", self.backend, "--library", self.library]
        if self.checks:
            command += ["--checks", ";".join(self.checks)]
        if self.reference:
            command += ["--reference", str(self.reference)]
        return subprocess.Popen(
            command + ["--quick"] * self.quick,
            cwd=ROOT,
            env=os.environ | SHARED | ENVIRONMENTS.get(self.role, {}),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def ask(job):
    """The one message of a process that has one; None if it died, with why."""
    with tempfile.TemporaryFile("w+") as errors, job.start(errors) as process:
        try:
            output, _ = process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return None, f"it said nothing in {START_SECONDS} s"
        lines = [line for line in output.splitlines() if line.startswith("{")]
        return (json.loads(lines[-1]), "") if lines else (None, last_line(errors))


def run_checks(job, deadline, note):
    """Run all checks of a job, in as many processes as it takes; `note(check, result)` for each."""
    job.checks = list(job.checks)
    while job.checks and time.monotonic() < deadline:
        count = len(job.checks)
        with tempfile.TemporaryFile("w+") as errors, job.start(errors) as process:
            current, why = follow(process, deadline, job.checks, note)
            if why:
                process.kill()
            status = process.wait()
            why = why or f"the process ended with status {status}: {last_line(errors)}"
        if time.monotonic() >= deadline:
            break
        if current is None and len(job.checks) == count:  # it never began: nor would another
            current = job.checks[0]
            for name in job.checks[1:]:
                note(name, {"passed": None, "value": "not run: the process does not start"})
            del job.checks[1:]
        if current is not None:
            note(current, {"passed": False, "error": why})
            job.checks.remove(current)
    for name in job.checks:
        note(name, {"passed": None, "value": "not run: the time was over"})


def follow(process, deadline, remaining, note):
    """Take a process' messages until it ends or takes too long; what it was at, and why it ended.

    Checks that are done are removed from `remaining`.
    """
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    current, since = None, time.monotonic()
    while True:
        limit = CHECK_SECONDS if current else START_SECONDS
        left = min(since + limit, deadline) - time.monotonic()
        try:
            line = lines.get(timeout=max(0.0, left))
        except queue.Empty:
            return current, f"it took longer than {limit} s"
        if line is None:
            reader.join()
            return current, ""
        if not line.startswith("{"):  # of a library that prints
            continue
        message, since = json.loads(line), time.monotonic()
        current = message.get("begins")
        if "check" in message:
            remaining.remove(message["check"])
            note(message.pop("check"), message)


def last_line(errors):
    """The last line of a process' standard error that says something, an exception's if there."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    raised = [line for line in lines if "Error" in line or "error" in line]
    return ((raised or lines or ["it said nothing"])[-1])[:300]
