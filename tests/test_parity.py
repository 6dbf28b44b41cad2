"""Models of transformers, random and of odd shapes: the same numbers in both directions."""

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from benchmarks.parity.cases import CASES
from benchmarks.parity.check import check

EVERYWHERE = ("GPT2LMHeadModel", "LlamaForCausalLM")  # of the models that write


def marks(case):
    if not case.is_usual:
        return [pytest.mark.exhaustive]
    writes = case.cls.endswith(("LMHeadModel", "ForCausalLM", "ForConditionalGeneration"))
    return [pytest.mark.slow_to_compile] if writes and case.name not in EVERYWHERE else []


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=marks(c)) for c in CASES])
def test_numbers_are_theirs_in_and_out(case):
    found = check(case)
    assert found["in"] < 1e-4 > found["out"]
    assert found["greedy"] is not False
