"""Models of transformers, random and of odd shapes: the same numbers in both directions."""

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from benchmarks.parity.cases import CASES
from benchmarks.parity.check import check

ROWS = [
    pytest.param(case, id=case.name, marks=[] if case.is_usual else [pytest.mark.exhaustive])
    for case in CASES
]


@pytest.mark.parametrize("case", ROWS)
def test_numbers_are_theirs_in_and_out(case):
    found = check(case)
    assert found["in"] < 1e-4 > found["out"]
    assert found["greedy"] is not False
