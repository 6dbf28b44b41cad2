"""Examples run as they stand, with a tiny model in the place of the one that they load."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import zoo
from tests.models import tiny_backbone, tiny_gpt, tiny_transformer, with_weights, word_pieces

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_quickstart(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "load", lambda name: tiny_gpt(scale=0.1, max_length=128))
    runpy.run_path(str(EXAMPLES / "quickstart.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "after two readings" in printed
    assert "ids equal: True" in printed
    assert "greedy text equal: True" in printed


@pytest.mark.slow_to_compile
def test_encoders(monkeypatch, capsys, tmp_path):
    pretrainer = zoo.BertPretrainer(tiny_backbone(max_length=64), word_pieces())
    zoo.save(with_weights(pretrainer), tmp_path / "preset")
    load = zoo.load
    monkeypatch.setattr(
        zoo,
        "load",
        lambda name, task="masked_lm", **options: load(tmp_path / "preset", task=task, **options),
    )
    runpy.run_path(str(EXAMPLES / "encoders.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for line in ("behind", "pretraining", "a text", "a pair", "tags", "answer", "similarity"):
        assert f"\n{line}" in f"\n{printed}"


@pytest.mark.slow_to_compile
def test_translation(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "load", lambda name: tiny_transformer(scale=0.1))
    runpy.run_path(str(EXAMPLES / "translation.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("of a beam:") == 3
    assert printed.count("perplexity") == 2


@pytest.mark.slow_to_compile
def test_summarisation(monkeypatch, capsys, tmp_path):
    lines = (EXAMPLES / "data" / "weather.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(lines[:48]), encoding="utf-8")
    argv = ["summarisation.py", str(tmp_path / "few.jsonl"), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(EXAMPLES / "summarisation.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "val_rougeL" in printed
    assert "is summarised as" in printed
    assert "rouge1" in printed.splitlines()[-1]


@pytest.mark.slow_to_compile
def test_tickets(monkeypatch, capsys, tmp_path):
    zoo.save(
        with_weights(zoo.MaskedLM(tiny_backbone(max_length=256), word_pieces())),
        tmp_path / "preset",
    )
    load = zoo.load
    monkeypatch.setattr(zoo, "load", lambda name, **options: load(tmp_path / "preset", **options))
    table = (EXAMPLES / "data" / "tickets.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.csv").write_text("\n".join(table[:53]), encoding="utf-8")
    argv = ["tickets.py", str(tmp_path / "few.csv"), "--epochs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.warns(UserWarning, match="have no text and were left out"):
        runpy.run_path(str(EXAMPLES / "tickets.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "macro avg" in printed
    served = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [answer["text"][:3] for answer in served] == ["", "   ", "???", "The"]
    assert len({answer["label"] for answer in served[:2]}) == 1


@pytest.mark.slow_to_compile
def test_pretraining_goes_on_where_it_was(monkeypatch, capsys, tmp_path):
    for number in range(21):
        (tmp_path / f"{number}.txt").write_text(f"The old house stood on hill {number}. " * 8)
    sizes = "--vocab-size 270 --num-layers 1 --hidden-dim 16 --length 32 --batch-size 8"
    command = ["pretraining.py", str(tmp_path), "--out", str(tmp_path / "run"), *sizes.split()]
    measured = []
    for epochs in ("1", "2", "2"):  # the last one has nothing left to train
        monkeypatch.setattr(sys, "argv", [*command, "--epochs", epochs])
        runpy.run_path(str(EXAMPLES / "pretraining.py"), run_name="__main__")
        printed = capsys.readouterr().out
        assert ("train: 19 documents" in printed) == (epochs == "1")
        measured.append(next(line for line in printed.splitlines() if line.startswith("{")))
    assert measured[0] != measured[1] == measured[2]


@pytest.mark.backend_free
def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 80, path
