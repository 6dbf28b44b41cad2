"""From a preset to a task: the same one, or one that is changed by name."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_backbone, with_weights, word_pieces
from tests.preset_fixtures import TEXTS, TINY, assert_same, change, logits, tiny, values
from zoo import hub

pytestmark = pytest.mark.usefixtures("no_waiting")


# There and back


def test_saving_and_loading_is_the_identity(saved):
    model, folder = saved
    loaded = zoo.load(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert_same(model, loaded)
    np.testing.assert_array_equal(logits(model), logits(loaded))
    assert loaded.tokenizer == model.tokenizer
    assert loaded.sequence_length == 8
    assert loaded.backbone.get_config()["dropout"] == 0.3


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16"])
def test_the_dtype_is_kept(tmp_path, dtype):
    model = tiny(dtype)
    zoo.save(model, tmp_path / "mine")
    loaded = zoo.load(str(tmp_path / "mine"))
    assert loaded.backbone.dtype_policy.name == dtype
    assert loaded.tokenizer is None
    assert_same(model, loaded)


def test_half_precision_weights_load_as_float32(tmp_path, saved):
    model, folder = saved
    zoo.save(model, tmp_path / "half", weights_dtype="float16")
    loaded = zoo.load(tmp_path / "half")
    assert {v.dtype for v in loaded.weights} == {"float32"}
    np.testing.assert_allclose(logits(loaded), logits(model), atol=1e-3)
    size = (folder / "model.safetensors").stat().st_size
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.6 * size


def test_keras_files_keep_tokenizer_and_optimizer(tmp_path, tokenizer):
    model = tiny(tokenizer=tokenizer, sequence_length=8)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    model.fit(TEXTS, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(model, loaded)
    assert type(loaded) is zoo.CausalLM
    assert loaded.tokenizer == tokenizer
    assert loaded.sequence_length == 8
    assert isinstance(loaded.optimizer, keras.optimizers.Adam)
    assert type(loaded.loss) is zoo.layers.TokenCrossEntropy
    assert int(loaded.optimizer.iterations) > 0
    for mine, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(variable.value) for variable in (mine, theirs))
        )
    np.testing.assert_array_equal(logits(model), logits(loaded))


@pytest.mark.slow_to_compile
def test_the_other_backends_load_the_same_model(saved, tmp_path, backend):
    model, folder = saved
    code = f"""
        import sys
        import numpy as np
        import keras, zoo
        model = zoo.load(sys.argv[1])
        token_ids = (np.arange(24, dtype="int32").reshape(2, 12) * 7) % {TINY["vocab_size"]}
        np.save(sys.argv[2], keras.ops.convert_to_numpy(model(token_ids)))
    """
    others = sorted({"jax", "torch", "tensorflow"} - {backend})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), folder, tmp_path / f"{name}.npy"],
            env=os.environ | {"KERAS_BACKEND": name},
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in others
    ]
    for name, process in zip(others, running, strict=True):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), logits(model), atol=1e-5)


# Overrides


def test_overrides_go_where_they_belong(preset):
    model = zoo.load(preset, dropout=0.0, dtype="mixed_bfloat16", sequence_length=None)
    assert model.backbone.get_config()["dropout"] == 0.0
    assert model.backbone.dtype_policy.name == "mixed_bfloat16"
    assert model.sequence_length is None  # whole contexts
    policy = keras.DTypePolicy("mixed_float16")
    assert zoo.load(preset, dtype=policy).backbone.dtype_policy == policy
    other = zoo.load(preset, weights=False, tokenizer=None, vocab_size=50, task="causal_lm")
    assert other.backbone.vocab_size == 50
    assert other.tokenizer is None


def test_overrides_are_checked(preset):
    with pytest.raises(TypeError, match=r"unknown override 'droput'. Did you mean 'dropout'\?"):
        zoo.load(preset, droput=0.0)
    with pytest.raises(ValueError, match=r"zoo.load: dropout must be a number from 0 to 1; got 2"):
        zoo.load(preset, dropout=2)
    with pytest.raises(ValueError, match=r"dtype must be one of float32, .*; got 'float31'"):
        zoo.load(preset, dtype="float31")
    with pytest.raises(
        ValueError, match=r"hidden_dim must be a multiple of num_heads; got 8 and 3"
    ):
        zoo.load(preset, num_heads=3)
    with pytest.raises(ValueError, match=r"task must be one of causal_lm, .*; got 'casual_lm'"):
        zoo.load(preset, task="casual_lm")
    with pytest.raises(TypeError, match=r"tokenizer must be a zoo.tokenizers.Tokenizer or None"):
        zoo.load(preset, tokenizer="gpt2")
    with pytest.raises(ValueError, match="vocab_size must be that of the tokenizer, 300; got 50"):
        zoo.load(preset, weights=False, vocab_size=50)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            {"hidden_dim": 16},
            r"must have the model's shape .*You changed hidden_dim: weights=False",
        ),
        ({"max_length": 32}, r"'position_embedding/embeddings' must .*You changed max_length"),
        ({"num_layers": 2}, r"12 are missing.*You changed num_layers: weights=False"),
    ],
)
def test_overrides_that_need_other_weights(preset, override, message):
    with pytest.raises(ValueError, match=message):
        zoo.load(preset, **override)


def test_names_of_others_are_answered(preset):
    with pytest.raises(TypeError, match=r"override 'num_labels'. Use labels=\['a', 'b'\], a name"):
        zoo.load(preset, num_labels=3)
    for weights in ("path", "weights.h5", 1, None, "True"):
        with pytest.raises(ValueError, match="weights must be True, False or 'backbone'; got"):
            zoo.load(preset, weights=weights)


def test_more_than_the_machine_holds_is_refused_at_once(preset):
    message = r"zoo.load: hidden_dim, here 65536, or max_length, here 16777216, must be smaller"
    with pytest.raises(ValueError, match=message):
        zoo.load(preset, weights=False, max_length=2**24, hidden_dim=2**16)
    with pytest.raises(ValueError, match="num_layers must be an integer from 1 to 256; got 1024"):
        zoo.load(preset, weights=False, num_layers=1024)


# Heads


@pytest.fixture
def classifier(tmp_path):
    model = zoo.TextClassifier(tiny_backbone(), word_pieces(), ["a", "b", "c"])
    zoo.save(with_weights(model), tmp_path / "classifier")
    return model, tmp_path / "classifier"


@pytest.mark.parametrize("labels", [["b", "a", "c"], ["x", "y", "z"], ["a", "b"]])
def test_a_trained_head_keeps_its_labels(classifier, labels):
    _, folder = classifier
    with pytest.raises(ValueError, match=r"labels must be those .* \['a', 'b', 'c'\].*'backbone'"):
        zoo.load(folder, labels=labels)
    for same in (["a", "b", "c"], ("a", "b", "c"), np.array(["a", "b", "c"])):
        assert zoo.load(folder, labels=same).labels == ("a", "b", "c")
    assert zoo.load(folder, weights=False, labels=labels).labels == tuple(labels)


def test_a_new_head_on_a_trained_backbone(classifier):
    model, folder = classifier
    new = zoo.load(folder, weights="backbone", labels=["c", "b"])
    assert new.labels == ("c", "b")
    assert_same(new.backbone, model.backbone)
    again = zoo.load(folder, weights="backbone")
    assert (values(again)["classifier/kernel"] != values(model)["classifier/kernel"]).any()
    assert_same(zoo.load(folder), model)


def test_a_classifier_must_have_labels(classifier):
    _, folder = classifier
    with pytest.raises(ValueError, match=r"zoo.load must give 'labels', which TokenClassifier"):
        zoo.load(folder, task="token_classification")
    change(folder, "task_arguments.labels", ...)
    with pytest.raises(ValueError, match=r"config.json: task_arguments must give 'labels'"):
        zoo.load(folder)


# What is frozen


def frozen(model):
    return {v.path for v in model.weights} - {v.path for v in model.trainable_weights}


@pytest.mark.parametrize("freeze", ["backbone", 0, 1, None])
def test_what_is_frozen_stays_so(classifier, freeze, tmp_path):
    _, folder = classifier
    model = zoo.load(folder, freeze=freeze)
    zoo.save(model, tmp_path / "again")
    loaded = zoo.load(tmp_path / "again")
    assert frozen(loaded) == frozen(model)
    assert bool(frozen(loaded)) == (freeze is not None)
    assert not frozen(zoo.load(tmp_path / "again", task="embedding"))
    thawed = zoo.load(tmp_path / "again", weights="backbone", freeze="backbone")
    assert frozen(thawed) == {v.path for v in thawed.backbone.weights}


def test_a_part_of_a_layer_may_be_frozen(tmp_path):
    model = tiny(num_layers=2)
    model.backbone.get_layer("block_1").attention.trainable = False
    zoo.save(model, tmp_path / "mine")
    names = json.loads((tmp_path / "mine" / "config.json").read_text())["frozen"]
    assert names == ["block_1/attention"]
    loaded = zoo.load(tmp_path / "mine")
    assert frozen(loaded) == frozen(model)
    before = values(loaded)
    loaded.fit(np.ones((4, 8), "int32"), verbose=0)
    moved = {name for name, value in values(loaded).items() if (value != before[name]).any()}
    assert moved
    assert not moved & frozen(model)


# Special tokens


def test_special_tokens_are_kept(tmp_path, tokenizer):
    usual = tiny(tokenizer=tokenizer)
    zoo.save(usual, tmp_path / "usual")
    assert "special_tokens" not in json.loads((tmp_path / "usual" / "config.json").read_text())
    assert zoo.load(tmp_path / "usual").special_tokens == usual.special_tokens
    tokens = zoo.tokenizers.SpecialTokens(start=1, stop=(2, 3), padding=7)
    chat = zoo.load(tmp_path / "usual", special_tokens=tokens)
    assert chat.special_tokens == tokens
    zoo.save(chat, tmp_path / "chat")
    assert zoo.load(tmp_path / "chat").special_tokens == tokens
    other = zoo.load(tmp_path / "chat", tokenizer=tokenizer)
    assert other.special_tokens == usual.special_tokens


# Names


def test_unknown_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"No preset named 'gpt-smal'. Did you mean 'gpt-small'\?"):
        zoo.load("gpt-smal")
    with pytest.raises(
        ValueError, match=r"No preset named 'zzzzz'. Bundled: .*gpt-small, gpt-tiny"
    ):
        zoo.load("zzzzz")
    with pytest.raises(ValueError, match="is named hf://owner/name, and its revision once"):
        zoo.load("hf://name")
    with pytest.raises(ConnectionError, match=r"No preset folder at 'runs/mine', and none on the"):
        zoo.load("runs/mine")
    for name in ("./mine", "runs/some/mine", tmp_path / "mine", "~/no-such-folder"):
        with pytest.raises(FileNotFoundError, match=r"No preset folder at .* Check the path"):
            zoo.load(name)
    with pytest.raises(FileNotFoundError, match=r"must hold a config.json; there is none"):
        zoo.load(tmp_path)
    for name in (None, 3, b"gpt2", ["gpt2"]):
        with pytest.raises(TypeError, match="by its name or its folder"):
            zoo.load(name)


@pytest.mark.backend_free
def test_a_folder_of_that_name_goes_first(preset, monkeypatch):
    monkeypatch.chdir(preset.parent)
    preset.rename("gpt-small")
    assert zoo.load("gpt-small").backbone.vocab_size == TINY["vocab_size"]
    (preset.parent / "gpt-small" / "config.json").unlink()  # now it is no preset
    assert hub.resolve("gpt-small") == hub.bundled_folder() / "gpt-small"
