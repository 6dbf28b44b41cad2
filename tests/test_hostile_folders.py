"""Folders of transformers that lie, and manifests: each refused in a sentence, or harmless."""

import json
import shutil
import time

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import zoo
from tests.models import tiny_gpt
from tests.test_hostile_files import mutant, outcome
from zoo import checkpoints, manifest

SECONDS = 1
MISSING = object()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "gpt"
    zoo.save(tiny_gpt(), folder, format="transformers")
    (folder / manifest.NAME).unlink()  # as another library would have left it
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "gpt")


def change(folder, file, **fields):
    path = folder / file
    contents = json.loads(path.read_text()) if path.exists() else {}
    contents = {k: v for k, v in (contents | fields).items() if v is not MISSING}
    path.write_text(json.dumps(contents))


def logits(model):
    return keras.ops.convert_to_numpy(model(np.arange(6)[None]))


def refuse(folder, message, error=ValueError):
    before = sorted(folder.rglob("*"))
    start = time.process_time()
    with pytest.raises(error, match=message) as caught:
        zoo.load(folder)
    assert time.process_time() - start < SECONDS
    assert len(str(caught.value)) < 1000
    assert sorted(folder.rglob("*")) == before


CONFIGS = {
    "no vocabulary": ({"vocab_size": 0}, r"config\.json.*vocab_size must be an integer from 1"),
    "a negative size": ({"n_embd": -8}, "hidden_dim must be an integer from 1"),
    "a huge size": ({"n_embd": 10**30}, "hidden_dim must be an integer from 1"),
    "very many layers": ({"n_layer": 10**6}, "num_layers must be an integer from 1 to 256"),
    "more than a machine has": ({"n_inner": 2**20, "n_embd": 2**16, "n_layer": 256}, "smaller:"),
    "text for a size": ({"n_layer": "2"}, "num_layers must be an integer"),
    "a truth for a size": ({"n_head": True}, "num_heads must be an integer"),
    "a fraction": ({"n_layer": 1.5}, "num_layers must be an integer"),
    "nothing": ({"n_layer": None}, "must give 'n_layer'"),
    "a list": ({"n_embd": [16]}, r"hidden_dim must be an integer .* got \[16\]"),
    "heads that do not divide": ({"n_head": 3}, "hidden_dim must be a multiple of num_heads"),
    "a rate over 1": ({"resid_pdrop": 7}, "dropout must be a number from 0 to 1"),
    "a module for an activation": (
        {"activation_function": "os.system"},
        "activation_function must",
    ),
    "other scores": ({"scale_attn_weights": False}, "scale_attn_weights must be True"),
    "another depth": ({"n_layer": 2}, r"12 are missing, such as 'h\.1"),
    "another width": ({"n_inner": 80}, r"must have the shape \(16, 80\).*got \(16, 64\)"),
    "a vocabulary that is too small": ({"vocab_size": 200}, "tokenizer's 300 tokens must all be"),
    "a class of no family": ({"architectures": ["os.system"]}, "architectures must name one of"),
    "classes that are numbers": ({"architectures": [3]}, "architectures must name one of"),
    "a family that is near": ({"model_type": "gpt3"}, r"Did you mean 'gpt2'\?"),
    "a family that is a list": ({"model_type": ["gpt2"]}, r"got \['gpt2'\]"),
    "bitsandbytes": (
        {"quantization_config": {"load_in_8bit": True}},
        r"quantised by bitsandbytes \(quantization_config\), which is not supported\. Load the",
    ),
    "GPTQ": ({"quantization_config": {"quant_method": "gptq"}}, "quantised by GPTQ"),
    "AWQ": ({"quantization_config": {"quant_method": "awq"}}, "quantised by AWQ"),
    "a scheme of tomorrow": ({"quantization_config": {"quant_method": "q9"}}, "quantised by 'q9'"),
    "a scheme that is a number": ({"quantization_config": 3}, "quantised by 3"),
}


@pytest.mark.backend_free
@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_lies_is_refused(folder, case):
    fields, message = CONFIGS[case]
    change(folder, "config.json", **fields)
    refuse(folder, message)


HARMLESS = {
    "code elsewhere": ("config.json", {"auto_map": {"AutoModel": "evil--modeling.Model"}}),
    "an address": ("config.json", {"_name_or_path": "http://127.0.0.1:1/x", "extra": [1, {}]}),
    "a stop that cannot occur": ("generation_config.json", {"eos_token_id": 10**9}),
    "a stop that is no number": ("generation_config.json", {"eos_token_id": {"a": [1.5, "x"]}}),
    "very many stops": ("generation_config.json", {"eos_token_id": [-1] * 100_000}),
    "a token that is no text": ("tokenizer_config.json", {"eos_token": 3, "bos_token": {"a": 1}}),
    "a class of tokenizers": ("tokenizer_config.json", {"tokenizer_class": "os.system"}),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_says_nothing_of_the_model_changes_nothing(folder, sound, case):
    file, fields = HARMLESS[case]
    change(folder, file, **fields)
    np.testing.assert_array_equal(logits(zoo.load(folder)), logits(zoo.load(sound)))


BROKEN = ("{", "[]", "\xff", '{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000)


@pytest.mark.backend_free
@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_file_that_is_no_json_is_refused(folder, file):
    for contents in BROKEN:
        (folder / file).write_bytes(contents.encode("latin-1"))
        refuse(folder, f"{file}.*(damaged|must be)")


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("ending", "scheme"), [("qweight", "GPTQ or AWQ"), ("weight.absmax", "bitsandbytes")]
)
def test_quantised_tensors_are_named(folder, ending, scheme):
    arrays = load_file(folder / "model.safetensors")
    arrays[f"transformer.h.0.attn.c_attn.{ending}"] = np.zeros(3, "int32")
    save_file(arrays, folder / "model.safetensors")
    refuse(folder, f"quantised by {scheme} .*{ending}")


# Manifests


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("format", ["zoo", "transformers"])
@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_was_changed_since_is_refused(tmp_path, format, file):
    folder = tmp_path / "saved"
    zoo.save(tiny_gpt(), folder, format=format)
    zoo.load(folder)
    flip(folder / file)
    refuse(folder, rf"{file} is not the file that was saved: its sha256 must be .* delete manifest")
    if file == "model.safetensors":
        assert zoo.load(folder, weights=False)
    if format == "transformers" and file == "model.safetensors":
        (folder / manifest.NAME).unlink()
        refuse(folder, "its checksum must be")  # which the weights have in themselves


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("{", "JSON is not valid"),
        ('{"sha256": []}', "must give the sha256 of each file"),
        ('{"sha256": {"model.safetensors": 3}}', "must give the sha256 of each file"),
        ('{"sha256": {"../secret": "00"}}', "must be the name of a file in the same folder"),
        ('{"sha256": {"/etc/passwd": "00"}}', "must be the name of a file in the same folder"),
        ('{"sha256": {"model.safetensors": "00"}}', "its sha256 must be 00"),
        (" " * (2**20 + 1), "must be at most"),
    ],
)
def test_a_manifest_that_lies_is_refused(folder, contents, message):
    (folder / manifest.NAME).write_text(contents)
    refuse(folder, message)


def test_people_may_edit_what_is_for_people(tmp_path):
    folder = tmp_path / "saved"
    zoo.save(tiny_gpt(), folder)
    change(folder, "config.json", card={"metric": "good"})
    (folder / "README.md").write_text("Mine.")
    (folder / "notes.txt").write_text("Mine.")
    zoo.load(folder)
    zoo.save(tiny_gpt(), folder)
    assert "notes.txt" not in (folder / manifest.NAME).read_text()


# Mutants


def described(folder):
    """All that the small files of a folder say of a model, without making one."""
    manifest.check(folder)
    config = checkpoints.read_config(folder)
    tokenizer = checkpoints.read_tokenizer(folder)
    vocab_size = config["backbone"]["vocab_size"]
    return config, tokenizer, checkpoints.read_special_tokens(folder, tokenizer, vocab_size)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "file",
    ["config.json", "generation_config.json", "tokenizer_config.json", "manifest.json"],
)
def test_mutants_are_refused_or_describe_a_model(folder, file, request):
    count = 10_000 if request.config.getoption("everywhere") else 300
    rng = np.random.default_rng(0)
    (folder / "model.safetensors").unlink()
    manifest.write(folder)
    sound, refused = (folder / file).read_bytes(), 0
    if file != manifest.NAME:  # which would tell
        (folder / manifest.NAME).unlink()
    described(folder)
    for _ in range(count):
        data = mutant(sound, rng)
        (folder / file).write_bytes(data)
        start = time.process_time()
        found, error = outcome(described, folder)
        assert time.process_time() - start < SECONDS
        refused += error is not None
        assert found is not None or str(folder) in error, (data, error)
    assert count > refused > count / 10
