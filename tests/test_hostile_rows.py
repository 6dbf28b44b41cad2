"""The table of `python -m benchmarks.hostile`: each case is refused as it must be."""

import pytest

from benchmarks.hostile.check import Outcome, attempt, attempt_apart, slips
from benchmarks.hostile.row import Row
from benchmarks.hostile.rows import ROWS

pytestmark = pytest.mark.backend_free

SECONDS = 2.0  # twice what it may take, since others may be at work


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_case_is_refused(row, tmp_path):
    outcome = attempt(row, tmp_path)
    assert not slips(row, outcome, SECONDS), outcome


def test_no_two_cases_share_a_name():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names) > 300


def refusing(path):
    raise ValueError(f"{path.name} is damaged.")


def careless(path):
    (path.parent / "left").touch()
    raise KeyError("w")


def killing(path):
    import os

    os._exit(3)


def greedy(path):
    _ = bytearray(2**28)
    return refusing(path)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (refusing, []),
        (lambda path: None, ["it was read"]),
        (careless, ["KeyError in the place of", "it does not say", "it does not name", "it left"]),
        (killing, ["killed in the place of", "it does not say", "it does not name"]),
        (greedy, ["it took 2"]),
    ],
    ids=["refused", "read", "careless", "killed", "greedy"],
)
def test_a_case_that_slips_is_said(read, expected):
    row = Row("w", "case", lambda folder: folder / "w.bin", read, "is damaged", "w.bin")
    found = slips(row, attempt_apart(row))
    assert len(found) == len(expected)
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)


def test_time_counts():
    row = Row("w", "case", None, None, "x", "x")
    assert slips(row, Outcome("ValueError", "x", seconds=1.5)) == ["it took 1.5 s"]
