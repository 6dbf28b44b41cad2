"""What holds of every bundled preset."""

import json

import numpy as np
import pytest

import zoo
from zoo import hub
from zoo.config import read_config
from zoo.short_names import SHORT_NAMES
from zoo.sizes import count_parameters
from zoo.tasks import TASKS

PRESETS = hub.bundled()
SMALL = ["gpt-small", "gpt-tiny", "bert-small", "lstm-small", "transformer-small-en-fr"]
TRAINED = [name for name in PRESETS if (hub.bundled_folder() / name / "model.safetensors").exists()]
PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    # Without their poolers, which belong to the tasks here.
    "bert-tiny": 4_385_920 - 128 * 129,
    "bert-mini": 11_170_560 - 256 * 257,
    "bert-small-google": 28_763_648 - 512 * 513,
    "bert-medium": 41_373_184 - 512 * 513,
    "bert-base": 109_482_240 - 768 * 769,
    "bert-large": 335_141_888 - 1024 * 1025,
    "distilbert-base": 66_362_880,
    # Without their poolers, the two rows of positions for padding and the one for segments.
    "roberta-base": 124_645_632 - 768 * 769 - 3 * 768,
    "roberta-large": 355_359_744 - 1024 * 1025 - 3 * 1024,
}


def config_of(name):
    return read_config(hub.resolve(name) / "config.json")


@pytest.mark.backend_free
@pytest.mark.parametrize("name", PRESETS)
def test_config_is_sound(name):
    folder = hub.resolve(name)
    config = config_of(name)
    assert {path.name for path in folder.iterdir()} >= {"config.json"}
    if (folder / "tokenizer.json").exists():
        tokenizer = zoo.tokenizers.Tokenizer.load(folder)
        assert tokenizer.vocab_size == config["backbone"]["vocab_size"]
        assert tokenizer.end_id is not None


@pytest.mark.backend_free
@pytest.mark.parametrize("name", PRESETS)
def test_card_names_licence_and_use(name):
    card = (hub.resolve(name) / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert "license:" in card
    assert f'zoo.load("{name}"' in card


@pytest.mark.backend_free
@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    assert count_parameters(config_of(name)) == PUBLISHED[name]


@pytest.mark.parametrize("name", SMALL)
def test_builds_without_weights(name):
    model = zoo.load(name, weights=False)
    assert type(model) is TASKS[config_of(name)["task"]]
    assert model.backbone.count_params() == count_parameters(config_of(name))
    assert model.output.shape == (None, None, model.tokenizer.vocab_size)


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in SMALL])
def test_large_ones_build_when_made_narrow(name):
    model = zoo.load(name, weights=False, num_layers=1, num_heads=1, hidden_dim=8, vocab_size=9)
    assert model.backbone.max_length == config_of(name)["backbone"]["max_length"]
    assert model.tokenizer is None
    assert model.output.shape == (None, None, 9)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_ones_load(name):
    model = zoo.load(name)
    text = "It was a dark and stormy night"
    reads_pairs = isinstance(model, zoo.Seq2SeqLM)
    assert np.isfinite(model.predict([(text, text) if reads_pairs else text], verbose=0)).all()


def test_the_small_transformer_translates():
    model = zoo.load("transformer-small-en-fr")
    assert model.generate("The cat is sleeping on the chair.") == "Le chat dort sur la chaise."


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in TRAINED])
def test_architectures_say_that_they_have_no_weights(name):
    kind = ConnectionError if name in SHORT_NAMES else ValueError  # there is no hub at hand
    with pytest.raises(kind, match=rf"zoo.load\('{name}', weights=False\)"):
        zoo.load(name)


@pytest.mark.backend_free
@pytest.mark.parametrize("columns", [80, 140])
def test_list_presets(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = zoo.list_presets()
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= columns
    assert sorted(row["name"] for row in rows) == PRESETS
    for row in rows:
        line = next(line for line in printed.splitlines() if line.split()[:1] == [row["name"]])
        there = "fetched by zoo.load" if row["download"] else "no weights"
        facts = [row["family"], row["task"], row["metric"] if row["weights"] else there]
        facts += [row["source"], row["licence"]] if columns > 80 else []
        assert all(fact in line for fact in facts)
        assert row["weights"] == (row["name"] in TRAINED)
        assert row["disk_bytes"] > 0
    assert next(row for row in rows if row["name"] == "gpt2")["parameters"] == PUBLISHED["gpt2"]
    assert "124 M" in printed
    assert next(row for row in rows if row["name"] == "gpt2")["download"].endswith("/gpt2")
    assert "smollm2-135m-instruct" in printed
    json.dumps(rows)


@pytest.mark.backend_free
def test_list_presets_of_a_family_or_task():
    names = {row["name"] for row in zoo.list_presets(family="gpt")}
    assert names == {"gpt-tiny", "gpt-small", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"}
    assert {row["task"] for row in zoo.list_presets(task="seq2seq")} == {"seq2seq"}
    assert zoo.list_presets(family="gpt", task="seq2seq") == []
    with pytest.raises(ValueError, match=r"family must be one of gpt, .*; got 'gtp'"):
        zoo.list_presets(family="gtp")
    with pytest.raises(ValueError, match=r"task must be one of causal_lm, .*; got 'mlm'"):
        zoo.list_presets(task="mlm")


@pytest.mark.backend_free
def test_tokenizers_have_their_fingerprints():
    for name in PRESETS:
        there = (hub.resolve(name) / "tokenizer.json").exists()
        assert bool(config_of(name)["tokenizer"]) == there, name
