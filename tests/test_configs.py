"""A preset whose files do not fit is refused in one sentence."""

import json

import pytest

import zoo
from tests.preset_fixtures import change

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("family", ..., "the field 'family' is missing"),
        ("backbone", ..., "the field 'backbone' is missing"),
        ("format_version", ..., "the field 'format_version' is missing"),
        ("format_version", 2, "format_version must be 1; got 2"),
        ("format_version", "1", "'format_version' must be an integer; got '1'"),
        ("format_version", True, "'format_version' must be an integer; got True"),
        ("family", "gtp", "family must be one of gpt, .*; got 'gtp'"),
        ("family", "zoo.models.GPT", "family must be one of gpt"),
        ("family", ["gpt"], "'family' must be a text"),
        ("task", "os.system", "task must be one of causal_lm"),
        ("backbone", [], "'backbone' must be an object"),
        ("bakcbone", {}, r"unknown field 'bakcbone'. Did you mean 'backbone'\?"),
        ("card", {"licence": 1}, "card.licence must be text; got 1"),
        ("backbone.num_layers", ..., "backbone must give 'num_layers', which GPT needs"),
        ("backbone.num_layer", 2, r"unknown argument 'num_layer'. Did you mean 'num_layers'\?"),
        ("backbone.kwargs", {}, "unknown argument 'kwargs'"),
        ("backbone.self", 1, "unknown argument 'self'"),
        ("backbone.num_layers", 0, "num_layers must be an integer from 1 to 256; got 0"),
        ("backbone.num_layers", 10**9, "num_layers must be an integer from 1 to 256"),
        ("backbone.num_layers", 1.0, "num_layers must be an integer"),
        ("backbone.num_layers", True, "num_layers must be an integer"),
        ("backbone.num_layers", None, "num_layers must be an integer"),
        ("backbone.hidden_dim", "8", "hidden_dim must be an integer from 1 to 131072; got '8'"),
        ("backbone.hidden_dim", 9, "hidden_dim must be a multiple of num_heads; got 9 and 2"),
        ("backbone.dropout", -0.1, "dropout must be a number from 0 to 1; got -0.1"),
        ("backbone.dropout", "high", "dropout must be a number"),
        ("backbone.dtype", "int8", "dtype must be one of float32"),
        ("backbone.dtype", {"class_name": "Lambda"}, "dtype must be one of float32"),
        ("special_tokens", {"stop": [300]}, "stop token must be from 0 to 299"),
        ("special_tokens", {"stop": "a"}, "special_tokens are not sound: .*must be an id"),
        ("special_tokens", {"end": 3}, "special_tokens are not sound"),
        ("frozen", "block_0", "'frozen' must be a list"),
        ("frozen", [1], "frozen must list names; got 1"),
        (
            "frozen",
            ["block_9"],
            "must be layers of the model; it has no 'block_9'",
        ),
        ("tokenizer", 3, "'tokenizer' must be a text"),
        ("backbone.vocab_size", 2**24, "must hold the .* numbers"),
        ("task_arguments.sequence_length", 0, "sequence_length must be an integer from 1"),
        ("task_arguments.tokenizer", "x", "unknown argument 'tokenizer'"),
        (
            "backbone.vocab_size",
            301,
            "must hold the 3,424 numbers that its config.json describes",
        ),
        ("backbone.max_length", 2**24, r"must hold the 134,[0-9,]+ numbers .*; got 3,"),
    ],
)
def test_a_wrong_config_is_one_clear_error(preset, field, value, message):
    change(preset, field, value)
    with pytest.raises(ValueError, match=message) as error:
        zoo.load(preset)
    assert str(preset) in str(error.value)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON is not valid"),
        ('{"family": "gpt"', "JSON is not valid"),
        ('{"family": "gpt", "family": "gpt"}', "'family' occurs twice"),
        ('{"format_version": NaN}', "NaN is no JSON"),
        ('{"format_version": ' + "1" * 5000 + "}", "JSON is not valid"),
        ("[" * 100_000, "JSON is not valid"),
        ("[1]", "must be an object"),
        (" " * 2**21, "at most 1048576 bytes"),
    ],
)
def test_a_damaged_config_is_one_clear_error(preset, text, message):
    (preset / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        zoo.load(preset)


def test_another_tokenizer_is_refused(preset, tokenizer):
    (preset / "manifest.json").unlink()  # which knows every file to the byte
    swapped = json.loads(tokenizer.to_json())
    vocab = swapped["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    file = preset / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=2))  # the same one
    assert zoo.load(preset).tokenizer == tokenizer
    file.write_text(json.dumps(swapped))
    message = "must be the tokenizer that the preset was saved with"
    with pytest.raises(ValueError, match=message) as error:
        zoo.load(preset)
    assert str(file) in str(error.value)
    other = zoo.tokenizers.Tokenizer.load(preset)
    assert zoo.load(preset, tokenizer=other).tokenizer == other
    change(preset, "tokenizer", ...)  # as older presets are
    assert zoo.load(preset).tokenizer == other
    zoo.tokenizers.BytePairTokenizer.train(["a b c"], 258).save(preset)
    message = r"vocab_size must be that of the tokenizer, 2\d\d; got 300"
    with pytest.raises(ValueError, match=message):
        zoo.load(preset)


def test_a_missing_tokenizer_is_refused(preset):
    file = preset / "tokenizer.json"
    file.unlink()
    with pytest.raises(ValueError, match=r"tokenizer.json is missing, .*tokenizer=None"):
        zoo.load(preset)
    assert zoo.load(preset, tokenizer=None).tokenizer is None
    change(preset, "tokenizer", ...)
    assert zoo.load(preset).tokenizer is None
    file.symlink_to("gone")
    with pytest.raises(ValueError, match=r"tokenizer.json is missing"):
        zoo.load(preset)


def test_weights_that_are_gone_or_cut(preset):
    (preset / "manifest.json").unlink()
    file = preset / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged: it is cut short"):
        zoo.load(preset)
    file.unlink()
    with pytest.raises(ValueError, match=r"architecture without weights; zoo.load.*weights=False"):
        zoo.load(preset)
    zoo.load(preset, weights=False)
