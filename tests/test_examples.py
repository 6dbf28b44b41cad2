"""Examples run as they stand, with a tiny model in the place of the one that they load."""

import runpy
from pathlib import Path

import pytest

import zoo
from tests.models import tiny_gpt

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_quickstart(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "load", lambda name: tiny_gpt(scale=0.1, max_length=128))
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "after two readings" in printed
    assert "ids equal: True" in printed
    assert "greedy text equal: True" in printed


@pytest.mark.backend_free
def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 80, path
