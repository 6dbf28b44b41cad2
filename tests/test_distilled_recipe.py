"""The recipe of a distilled encoder, and the rows that it learns from."""

import json
import sys

import keras
import numpy as np
import pytest
from zoo.training import corpora, labelled, pretrained
from zoo.training.aligned_rows import AlignedRows, MaskedAlignedBatches
from zoo.training.distillation import prune_vocabulary
from zoo.training.distillation.alignment import Aligner
from zoo.training.recipes import bert_small_distilled as recipe
from zoo.training.recipes import distillation

import zoo
from tests.models import TEXTS, tiny_backbone, with_weights, word_pieces
from zoo.models import BERT

TEXT = " ".join([*TEXTS[:2], "Nobody spoke. The captain laughed. The sea was grey."] * 6)


def run(module, monkeypatch, *arguments):
    keras.utils.clear_session()  # as in a process of its own
    monkeypatch.setattr(sys, "argv", ["recipe", *map(str, arguments)])
    module.main()


def small():
    words = prune_vocabulary(word_pieces(), TEXTS, 100)
    return zoo.MaskedLM(BERT(100, 1, 2, 16, max_length=32, dropout=0.0), words)


@pytest.mark.backend_free
def test_rows_in_a_file_are_what_is_aligned_for_each_batch(tmp_path):
    student = small()
    align = Aligner(student, zoo.MaskedLM(tiny_backbone(), word_pieces()))
    ids = student.rows(["the sea was calm", "it was late"]).inputs["token_ids"]
    AlignedRows.of(ids, align).save(tmp_path / "rows.npz")
    rows = AlignedRows.load(tmp_path / "rows.npz")
    assert len(rows) == 2
    batches = MaskedAlignedBatches(rows, student.objective(), 4, seed=0, is_fixed=True)
    (inputs, labels, weight), *others = batches
    assert not others
    student_ids, units = inputs["student"]["token_ids"].copy(), inputs["units"]
    row, slot = np.nonzero(weight)
    assert weight.sum() >= 2
    student_ids[row, inputs["student"]["masked_positions"][row, slot]] = labels[row, slot]
    mask = inputs["student"]["padding_mask"]
    expected = align({"token_ids": student_ids, "padding_mask": mask})[0]
    for name in ("token_ids", "padding_mask", "units"):
        own = inputs["teacher"][name]
        other = expected["teacher"][name]
        length = min(own.shape[1], other.shape[1])
        np.testing.assert_array_equal(own[:, :length], other[:, :length])
        assert not own[:, length:].any()
        assert not other[:, length:].any()
    np.testing.assert_array_equal(units, expected["units"])


@pytest.mark.backend_free
def test_some_rows_have_no_masks():
    student = small()
    align = Aligner(student, zoo.MaskedLM(tiny_backbone(), word_pieces()))
    ids = student.rows(["the sea was calm and nobody spoke"] * 400).inputs["token_ids"]
    rows = AlignedRows.of(ids, align)
    batches = MaskedAlignedBatches(rows, student.objective(), 400, clean=0.25, seed=0)
    inputs, _, weight = batches[0]
    is_clean = (inputs["student"]["token_ids"] == np.array(ids[0])).all(axis=1)
    assert not weight[weight.sum(axis=1) == 0].any()
    assert is_clean[weight.sum(axis=1) == 0].all()
    assert 60 < (weight.sum(axis=1) == 0).sum() < 140
    first, second = (batches.in_epoch(epoch, 0)[2] for epoch in (0, 1))
    assert (first != second).any()


@pytest.mark.backend_free
def test_rows_lose_nothing_and_are_of_both_kinds():
    words = word_pieces()
    document = corpora.Document("x", TEXT)
    rows = list(recipe.rows_of([document] * 10, words, 24))
    assert max(map(len, rows)) <= 24
    flat = [token for row in rows for token in row[1:-1]]
    sentences = words.encode(recipe.split_sentences(TEXT))
    assert flat == [token for ids in sentences for token in ids] * 10
    assert all(row[0] == words.start_id and row[-1] == words.special_ids["[SEP]"] for row in rows)
    lengths = {len(ids) + 2 for ids in sentences}
    singles = sum(len(row) in lengths for row in rows)
    assert 0.2 < singles / len(rows) < 0.9


@pytest.mark.slow_to_compile
def test_the_recipe_runs_and_goes_on(monkeypatch, tmp_path, capsys):
    teacher = with_weights(zoo.TextEmbedder(tiny_backbone(num_layers=6), word_pieces()))
    zoo.save(teacher, tmp_path / "teacher")
    documents = [corpora.Document(f"gutenberg/{name}", TEXT) for name in ("a", "carroll-alice")]
    monkeypatch.setattr(pretrained, "fetch", lambda name: tmp_path / "teacher")
    monkeypatch.setattr(corpora, "load", lambda name: documents)
    monkeypatch.setattr(recipe, "NUM_SIMILAR", 5)
    tiny = {"vocab_size": 100, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 64, "max_length": 32}
    monkeypatch.setattr(recipe, "BACKBONE", {**recipe.BACKBONE, **tiny})
    where = ("--data", tmp_path / "data", "--output", tmp_path / "runs", "--quick")
    where += ("--length", 24, "--dtype", "float32")

    run(recipe, monkeypatch, "data", *where)
    run(recipe, monkeypatch, "train", *where, "--until", 4)
    run(recipe, monkeypatch, "train", *where)
    assert "from step 4" in capsys.readouterr().out
    log = (tmp_path / "runs/quick/log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [4, 8]
    run(recipe, monkeypatch, "publish", *where)
    preset = tmp_path / "runs/quick/preset"
    card = (preset / "README.md").read_text()
    assert "| gutenberg |" in card
    assert "Spearman's correlation" in card
    assert zoo.load(preset).backbone.get_config()["num_layers"] == 4
    assert zoo.load(preset, task="embedding").encode("the sea").shape == (16,)


@pytest.mark.slow_to_compile
def test_methods_are_compared(monkeypatch, tmp_path, capsys):
    teacher = with_weights(zoo.TextEmbedder(tiny_backbone(num_layers=2), word_pieces()))
    zoo.save(teacher, tmp_path / "teacher")
    monkeypatch.setattr(pretrained, "fetch", lambda name: tmp_path / "teacher")
    part = ["the sea was calm", "it was late", "nobody spoke"], ["pos", "neg", "neg"]
    parts = {"train": part, "valid": part, "test": part}
    monkeypatch.setattr(labelled, "load", lambda name: dict(parts))
    where = ("--output", tmp_path / "runs", "--layers", 1, "--epochs", 1, "--seeds", 1)
    run(distillation, monkeypatch, *where, "--method", "tinybert")
    run(distillation, monkeypatch, *where, "--method", "labels", "--augment", "easy")
    out = capsys.readouterr().out
    assert "attention_scores" in out
    for method in ("tinybert", "labels"):  # one teacher for both
        assert f"{method}: accuracy " in out
    assert out.count("teacher {") == 1
