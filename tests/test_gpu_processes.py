"""A check that crashes or hangs fails alone: what stands after it is done all the same."""

import json
import subprocess
import sys
import time

import pytest

from benchmarks.gpu import devices, plan, processes

pytestmark = pytest.mark.backend_free

# A worker that does what each check's name says.
WORKER = """
import json, os, signal, sys, time
for name in sys.argv[1:]:
    print(json.dumps({"begins": name}), flush=True)
    if name == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hang":
        time.sleep(60)
    if name == "raise":
        raise RuntimeError("out of memory, says the device")
    print("a library's own output", flush=True)
    print(json.dumps({"check": name, "passed": True, "value": "fine"}), flush=True)
    if name == "lost":
        sys.exit(3)
"""


class Job(processes.Job):
    def start(self, errors):
        return subprocess.Popen(
            [sys.executable, "-c", self.library, *self.checks],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def run(checks, worker=WORKER, seconds=60):
    """`{check: result}` in the order in which they came."""
    results = {}

    def note(name, result):
        assert name not in results
        results[name] = result

    job = Job("acceptance", "torch", checks, worker)
    processes.run_checks(job, time.monotonic() + seconds, note)
    return results


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("crash", "the process ended with status -11"),
        ("raise", "RuntimeError: out of memory, says the device"),
        ("hang", "it took longer than 2 s"),
    ],
)
def test_only_the_check_that_does_it_fails(how, why, monkeypatch):
    monkeypatch.setattr(processes, "CHECK_SECONDS", 2)
    results = run(["first", how, "second", "third"])
    assert list(results) == ["first", how, "second", "third"]
    assert results[how]["passed"] is False
    assert why in results[how]["error"]
    assert all(results[name]["passed"] for name in ("first", "second", "third"))


def test_after_a_lost_device_a_new_process_goes_on():
    results = run(["first", "lost", "second"])
    assert [result["passed"] for result in results.values()] == [True, True, True]


def test_a_process_that_never_begins_is_not_started_for_each_check():
    results = run(["first", "second"], "raise ImportError('no such backend')")
    assert "no such backend" in results["first"]["error"]
    assert results["second"] == {
        "passed": None,
        "value": "not run: the process does not start",
    }


def test_when_the_time_is_over_what_is_left_is_told():
    results = run(["first", "hang", "second"], seconds=3)
    assert results["first"]["passed"]
    assert [results[name]["value"] for name in ("hang", "second")] == [
        "not run: the time was over"
    ] * 2
    assert json.dumps(results)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ],
)
def test_what_a_device_can_do_is_found_by_its_name(name, known):
    assert devices.peak(name, "bfloat16") == devices.PEAKS[known]["bfloat16"]


def test_nothing_is_made_up_of_a_device_that_nobody_noted():
    assert devices.peak("NVIDIA L40S", "bfloat16") is None
    assert devices.peak("Tesla T4", "bfloat16") is None


@pytest.mark.parametrize("cores", [1, 4, 16, 64])
def test_every_check_is_in_one_process(cores, monkeypatch, tmp_path):
    monkeypatch.setattr(plan.os, "cpu_count", lambda: cores)
    checks = [f"{i}@{p}" for i in range(10) for p in ("float32", "mixed_float16")]
    jobs = list(plan.acceptance(checks, ["torch", "jax"], tmp_path, quick=False))
    for backend in ("torch", "jax"):
        mine = [job for job in jobs if job.backend == backend and job.role != "rounded"]
        assert sorted(name for job in mine for name in job.checks) == sorted(checks)
        for job in mine:
            assert all(name.endswith("@float32") for name in job.checks) == (
                job.role == "acceptance"
            )
