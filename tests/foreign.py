"""Small random models of transformers in folders of theirs, for the tests that load them."""

import json
import shutil

import keras
import pytest
from safetensors.numpy import load_file, save_file

from benchmarks.parity.cases import NAMED_CASES
from benchmarks.parity.check import make_theirs
from zoo import checkpoints
from zoo.models import FAMILIES
from zoo.tasks import TASKS


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Random models of transformers and the folders they saved, made once each."""
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    made = {}

    def make(name):
        if name not in made:
            model = make_theirs(NAMED_CASES[name])
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            made[name] = model, folder
        return made[name]

    return make


@pytest.fixture
def folder_of(theirs, tmp_path):
    """A folder of its own for each test."""

    def copy(name="BertModel"):
        return shutil.copytree(theirs(name)[1], tmp_path / name)

    return copy


@pytest.fixture(scope="module")
def embedder(theirs):
    """A task to be filled, again and again."""
    return build(theirs("BertModel")[1])


def build(folder, task=None, **overrides):
    """A task with random weights, as `zoo.load(folder, weights=False)` makes it."""
    config = checkpoints.read_config(folder)
    arguments = config["task_arguments"] if task in (None, config["task"]) else {}
    backbone = FAMILIES[config["family"]](**config["backbone"])
    return TASKS[task or config["task"]](backbone, **{**arguments, **overrides})


def load(folder, task=None, **overrides):
    model = build(folder, task, **overrides)
    checkpoints.load_weights(model, folder)
    return model


def numpy_of(x):
    return keras.ops.convert_to_numpy(x)


def values(model):
    return {variable.path: numpy_of(variable.value) for variable in model.weights}


def change_config(folder, file="config.json", **fields):
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    contents = json.loads(path.read_text()) if path.exists() else {}
    contents.update(fields)
    path.write_text(json.dumps({k: v for k, v in contents.items() if v is not ...}))


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(change(tensors) or tensors, path)
