"""Recipes run from their commands to their tables, on a toy's worth of text."""

import random
import re
import sys

import keras
import pytest
from zoo.training import corpora, parallel
from zoo.training.recipes import ladder, lstm_small, translation

import zoo

pytestmark = pytest.mark.slow_to_compile
WORDS = ["the", "cat", "dog", "saw", "a", "bird", "and", "then", "ran", "home"]


def sentences(count, seed):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=8)) + "." for _ in range(count)]


def run(module, monkeypatch, *arguments):
    keras.utils.clear_session()  # as in a process of its own
    monkeypatch.setattr(sys, "argv", ["recipe", *map(str, arguments)])
    module.main()


def test_the_ladder_and_the_preset_of_it(monkeypatch, tmp_path, capsys):
    def load(name):
        return [
            corpora.Document(f"{name}/{part}", " ".join(sentences(300, part)))
            for part in ("train", "test", "valid")
        ]

    monkeypatch.setattr(corpora, "load", load)
    monkeypatch.setattr(ladder, "VOCAB_SIZE", 300)
    monkeypatch.setattr(ladder, "UNIT", 64)
    monkeypatch.setattr(ladder, "CORPORA", {"books": ("wikitext-2",)})
    monkeypatch.setattr(lstm_small, "held_out_texts", lambda: {"toy": sentences(9, 0)})
    monkeypatch.setattr(ladder, "ROWS", {"lstm": (4, 16), "gpt": (4, 16)})
    monkeypatch.setattr(ladder, "NEW_TOKENS", 4)
    narrow = {"hidden_dim": 16, "num_layers": 1, "max_length": 16}
    for name, (cls, arguments) in ladder.BACKBONES.items():
        smaller = {k: v for k, v in (arguments | narrow).items() if k != "inner_dim"}
        monkeypatch.setitem(ladder.BACKBONES, name, (cls, smaller))
    arguments = ("--corpora", "books", "--tokens", 30 * 64, "--output", tmp_path / "runs")
    run(ladder, monkeypatch, *arguments, "--report", tmp_path)
    table = (tmp_path / "ladder.md").read_text()
    assert (tmp_path / "ladder.png").stat().st_size > 1000
    rows = [line.split("|")[1:-1] for line in table.splitlines()[2:]]
    assert [row[1].strip() for row in rows] == ["bigram counts", "5-gram counts", "LSTM", "GPT"]
    for row in rows:
        # Nine words and an end, in any order: no model can do better than that.
        assert 8 < float(row[4]) < 1000, row
        assert all(float(cell.replace(",", "")) > 0 for cell in row[5:])
    capsys.readouterr()
    run(ladder, monkeypatch, *arguments, "--report", tmp_path)  # nothing is trained again
    assert "step" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(ladder, monkeypatch, "--tokens", 100)
    assert "--tokens must be a multiple of 64; got 100." in capsys.readouterr().err

    preset = tmp_path / "preset"
    preset.mkdir()
    (preset / "README.md").write_text("<!-- measured:start --><!-- measured:end -->")
    run(lstm_small, monkeypatch, "--trained", tmp_path / "runs/books/lstm", "--preset", preset)
    assert "| toy |" in (preset / "README.md").read_text()
    assert zoo.load(preset).stateful is False


@pytest.mark.filterwarnings("ignore:1 of 10 pairs have a source of more than 128 tokens")
@pytest.mark.parametrize("name", ["transformer", "lstm"])
def test_translation(name, monkeypatch, tmp_path, capsys):
    pairs = [(text, text.upper()) for text in sentences(60, 0)]
    pairs[40] = pairs[50] = ("far too long " * 128, "x")
    parts = {"train": pairs[:40], "valid": pairs[40:50], "test": pairs[50:]}
    monkeypatch.setattr(parallel, "load", lambda name: parts)
    monkeypatch.setattr(translation, "SETS", {"tatoeba_en_fr": ("13a", 300)})
    narrow = {"num_layers": 1, "hidden_dim": 16}
    monkeypatch.setattr(translation, "TRANSFORMER", {**translation.TRANSFORMER, **narrow})
    monkeypatch.setattr(translation, "LSTM", {**translation.LSTM, **narrow})
    preset = tmp_path / "preset"
    where = ("--preset", preset, "--output", tmp_path / "runs", "--model", name)
    where += ("--batch-size", 16)
    run(translation, monkeypatch, "tokenizer", *where)
    run(translation, monkeypatch, "train", *where, "--epochs", 1)
    run(translation, monkeypatch, "train", *where, "--epochs", 2)  # goes on where it stopped
    log = (tmp_path / "runs" / "log.jsonl").read_text().splitlines()
    assert [float(re.search(r'"step": ([\d.]+)', line)[1]) for line in log] == [3, 6]
    if name == "lstm":
        capsys.readouterr()
        run(translation, monkeypatch, "evaluate", *where)
        assert '"beam": {\n    "pairs": 10' in capsys.readouterr().out
        return
    (preset / "README.md").write_text("<!-- measured:start --><!-- measured:end -->")
    run(translation, monkeypatch, "publish", *where)
    assert "| beam | 10 |" in (preset / "README.md").read_text()
    assert {path.name for path in preset.iterdir()} == {
        "README.md",
        "config.json",
        "loss_curve.png",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    }
