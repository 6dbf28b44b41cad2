"""A small preset on disk, for every test that reads, changes or replaces one."""

import json

import keras
import numpy as np
import pytest

import zoo
from zoo import hub

TINY = {"vocab_size": 300, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "max_length": 16}
TEXTS = ["Call me Ishmael.", "It was the best of times, it was the worst of times."]


def tiny(dtype=None, tokenizer=None, sequence_length=None, **changes):
    backbone = zoo.models.GPT(**{**TINY, **changes}, dtype=dtype)
    return zoo.CausalLM(backbone, tokenizer, sequence_length=sequence_length)


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v.value) for v in model.weights}


def logits(model):
    token_ids = (np.arange(24, dtype="int32").reshape(2, 12) * 7) % TINY["vocab_size"]
    return keras.ops.convert_to_numpy(model(token_ids))


def assert_same(first, second):
    first, second = values(first), values(second)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert first[name].tobytes() == second[name].tobytes(), name


@pytest.fixture
def no_waiting(monkeypatch):
    """Nothing here pulls the plug, so nothing has to wait for the disk."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="module")
def tokenizer():
    return zoo.tokenizers.Tokenizer.load(hub.resolve("gpt-tiny"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer):
    """A model and its preset, which tests copy before they change it."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("saved") / "mine"
    model = tiny(tokenizer=tokenizer, dropout=0.3, sequence_length=8)
    zoo.save(model, folder)
    return model, folder


@pytest.fixture
def preset(saved, tmp_path):
    """A preset of its own for each test, and how to change its config."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for path in saved[1].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def change(folder, path, value):
    """Set (or with ... delete) one field of a config.json, given as "backbone.dropout"."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    *sections, field = path.split(".")
    target = config
    for section in sections:
        target = target[section]
    if value is ...:
        del target[field]
    else:
        target[field] = value
    file.write_text(json.dumps(config))
