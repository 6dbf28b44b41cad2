"""From a task to a preset: what is kept, and what is not saved."""

import json

import keras
import pytest

import zoo
from tests.models import tiny_gpt
from tests.preset_fixtures import assert_same, tiny

pytestmark = pytest.mark.usefixtures("no_waiting")


def test_only_tasks_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"zoo.save writes one of the tasks CausalLM, .*; got GPT"):
        zoo.save(tiny().backbone, tmp_path / "mine")
    with pytest.raises(TypeError, match=r"got Sequential. model.save\('model.keras'\)"):
        zoo.save(keras.Sequential(), tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_changed_layers_are_not_saved(tmp_path):
    model = tiny()
    model.backbone.token_embedding.enable_lora(2)
    with pytest.raises(ValueError, match="its layers were changed, by LoRA"):
        zoo.save(model, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_other_folders_are_not_replaced(tmp_path, saved):
    model, _ = saved
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="something other than a preset"):
        zoo.save(model, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(FileExistsError, match="something other than a preset"):
        zoo.save(model, tmp_path)
    with pytest.raises(FileExistsError, match="is a file"):
        zoo.save(model, tmp_path / "thesis.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "thesis.txt"]


def test_files_of_ones_own_are_kept(preset, saved):
    model, _ = saved
    (preset / "curve.png").write_bytes(b"png")
    (preset / "notes").mkdir()
    (preset / "notes" / "a.txt").write_text("a")
    zoo.save(tiny(dropout=0.5), preset)
    assert (preset / "curve.png").read_bytes() == b"png"
    assert (preset / "notes" / "a.txt").read_text() == "a"
    assert not (preset / "tokenizer.json").exists()  # the new model has none
    assert "| dropout | 0.5 |" in (preset / "README.md").read_text()
    (preset / "README.md").write_text("My own words.")
    zoo.save(model, preset)
    assert (preset / "README.md").read_text() == "My own words."
    assert_same(zoo.load(preset), model)


def test_an_empty_folder_and_missing_parents_will_do(tmp_path, saved):
    zoo.save(saved[0], tmp_path)
    zoo.save(saved[0], tmp_path / "a" / "b")
    assert_same(zoo.load(tmp_path), zoo.load(tmp_path / "a" / "b"))


def test_the_sampler_of_compile_is_kept(tmp_path):
    for sampler in (zoo.generation.TopP(0.8), zoo.generation.Beam(3), None):
        model = tiny_gpt()
        model.compile(sampler=sampler)
        zoo.save(model, tmp_path / "m")
        assert vars(zoo.load(tmp_path / "m").sampler) == vars(model.sampler)
    change = json.loads((tmp_path / "m" / "config.json").read_text())
    assert "sampler" not in change  # the usual one
    (tmp_path / "m" / "config.json").write_text(json.dumps(change | {"sampler": {"top_p": 7}}))
    with pytest.raises(ValueError, match=r"config.json: sampler is not sound: top_p must be"):
        zoo.load(tmp_path / "m")


def test_hdf5_files_that_could_not_be_read_again_are_not_written(tmp_path):
    model = tiny_gpt()
    with pytest.raises(ValueError, match=r"saved as a \.keras file, or as a folder by zoo\.save"):
        model.save(tmp_path / "m.h5")
    model.save(str(tmp_path / "m.keras"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]
