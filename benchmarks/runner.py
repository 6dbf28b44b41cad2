"""Running the processes, round after round."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.failures import message
from benchmarks.plan import make_schedule

ROOT = Path(__file__).parents[1]
LONGEST_SECONDS = 600  # a process that takes longer has failed
NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
# Whoever starts the suite may have set these; users get the defaults.
THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TOKENIZERS_PARALLELISM",
    "XLA_FLAGS",
)


def run_rounds(names, rounds, minutes, results, quick, log, keep_earlier=False):
    """Run the processes that these claims need, until all are done or the time is over."""
    end = time.monotonic() + 60 * minutes
    run = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    schedule = make_schedule(names, rounds, results.rounds if keep_earlier else 0)
    loading = dict.fromkeys((job.preset_of, job.sizes) for _, job in schedule if job.preset_of)
    with tempfile.TemporaryDirectory(prefix="zoo-benchmarks-") as scratch:
        runner = Runner(Path(scratch), quick)
        for library in dict.fromkeys(library for library, _ in loading):
            log(f"preparing: random weights for {library}")
            runner.save_presets(library, [size for one, size in loading if one == library])
        for done, (number, job) in enumerate(schedule):
            if time.monotonic() > end:
                log(f"{minutes:g} minutes are over: {len(schedule) - done} processes are left out")
                return
            start = time.perf_counter()
            values = runner.run(job)
            seconds = time.perf_counter() - start
            results.add(job, run, number, seconds, values, keep_earlier)
            failed = [name for name in values if "error" in values[name]]
            note = f"; failed: {', '.join(failed)}" if failed else ""
            log(f"{done + 1}/{len(schedule)}, round {number + 1}, {seconds:.0f} s: {job}{note}")


class Runner:
    """Starts workers; `scratch` is a folder for what they share."""

    def __init__(self, scratch, quick):
        self.scratch = scratch
        self.quick = quick

    def save_presets(self, library, sizes):
        command = ["benchmarks.presets", f"--library={library}"]
        command += [f"--sizes={','.join(dict.fromkeys(sizes))}"]
        command += [f"--folder={self.scratch / library}"]
        # If it fails, so does what loads from there, and says so.
        with contextlib.suppress(RuntimeError):
            self._run(command)

    def run(self, job):
        """What a job's process has measured: numbers by metric, for each of its measures."""
        command = ["benchmarks.worker", f"--library={job.library}", f"--backend={job.backend}"]
        command += [f"--sizes={job.sizes}", f"--measures={','.join(job.measures)}"]
        command += [f"--preset={self.scratch / (job.preset_of or job.library) / job.sizes}"]
        with tempfile.TemporaryDirectory(dir=self.scratch) as empty:
            cache = {"TORCHINDUCTOR_CACHE_DIR": empty} if job.cold else {}
            try:
                output = self._run([*command, f"--started={time.time()}"], cache)
                return json.loads(output.strip().splitlines()[-1])
            except (ValueError, IndexError, RuntimeError) as error:
                return {name: {"error": message(error)} for name in job.measures}

    def _run(self, module_and_arguments, more_environment=None):
        environment = {k: v for k, v in os.environ.items() if k not in THREAD_SETTINGS}
        return _communicate(
            [sys.executable, "-m", *module_and_arguments, *["--quick"] * self.quick],
            environment | NO_GPU | (more_environment or {}),
        )


def _communicate(command, environment):
    """What a command prints; it and all that it starts are gone afterwards."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=LONGEST_SECONDS)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise RuntimeError(f"took more than {LONGEST_SECONDS} seconds") from None
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"ended with status {process.returncode}: {last}")
    return output
