"""The program for GPUs runs on a CPU with toys, and writes down all that it has seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_GPU = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | NO_GPU,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole run: what it printed, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("gpu")
    return run("--quick", "--backend", "torch", "--out", folder), folder


@pytest.mark.slow_to_compile
def test_everything_passes_and_is_told(finished):
    process, folder = finished
    rows = json.loads((folder / "results-gpu.json").read_text())["rows"]
    failed = [
        (row["check"], row.get("error") or row["value"]) for row in rows if row["passed"] is False
    ]
    assert not failed, process.stderr
    assert process.returncode == 0
    assert not [row["check"] for row in rows if "not run" in row.get("value", "")]
    for row in rows:
        assert f"{row['check']}, {row['precision']}" in process.stdout
    counts = {part: sum(row["part"] == part for row in rows) for part in ("acceptance", "speed")}
    assert counts["acceptance"] > 70
    assert counts["speed"] == 13


@pytest.mark.slow_to_compile
def test_the_tables_hold_a_row_for_each_check(finished):
    _, folder = finished
    rows = json.loads((folder / "results-gpu.json").read_text())["rows"]
    text = (folder / "RESULTS-GPU.md").read_text()
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line] for line in lines]
    for row in rows:
        library = "zoo, torch" if row["library"] == "zoo" else row["library"]
        second = row["precision"].removeprefix("mixed_")
        start = [row["check"], library if row["part"] == "speed" else second]
        (found,) = [cells for cells in table if cells[:2] == start]
        assert row["value"] in " ".join(found)
    assert str(ROOT) not in text
    assert str(folder) not in text


@pytest.mark.backend_free
def test_without_a_gpu_it_says_so_and_ends_with_2(tmp_path):
    process = run("--backend", "torch", "--out", tmp_path / "none")
    assert process.returncode == 2
    assert "No GPU is seen by torch: --quick tries this on a CPU." in process.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.backend_free
def test_a_name_that_nobody_knows_is_refused():
    process = run("--only", "beauty")
    assert process.returncode == 2
    assert "must be of acceptance, speed; got beauty." in process.stderr
