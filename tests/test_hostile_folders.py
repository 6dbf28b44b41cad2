"""Folders of transformers that lie, and manifests: each refused in a sentence, or harmless."""

import json
import shutil
import time

import keras
import numpy as np
import pytest

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


# Manifests


@pytest.mark.parametrize("format", ["zoo", "transformers"])
@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_was_changed_since_is_refused(tmp_path, format, file):
    folder = tmp_path / "saved"
    zoo.save(tiny_gpt(), folder, format=format)
    zoo.load(folder)
    data = bytearray((folder / file).read_bytes())
    data[-1] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{file} is not the file that was saved: its sha256"):
        zoo.load(folder)
    if file == "model.safetensors":
        assert zoo.load(folder, weights=False)
    if format == "transformers" and file == "model.safetensors":
        (folder / manifest.NAME).unlink()
        with pytest.raises(ValueError, match="its checksum must be"):  # the weights' own
            zoo.load(folder)


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
