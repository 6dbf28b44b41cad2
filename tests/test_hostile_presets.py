"""KerasHub presets that mutate; those that lie are in `benchmarks.hostile`."""

import shutil

import numpy as np
import pytest

import zoo
from benchmarks.hostile import presets
from benchmarks.hostile.presets import MODELS, WEIGHTS
from tests.test_hostile_files import mutant, outcome
from zoo.checkpoints.keras_hub.reading import read_config
from zoo.checkpoints.keras_hub.weights import HubTensors

pytestmark = pytest.mark.backend_free


def read_all(folder):
    with HubTensors(folder) as tensors:
        return read_config(folder), [tensors.read(name) for name in tensors.names]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Presets without a manifest, as KerasHub leaves them."""
    folder = tmp_path_factory.mktemp("sound")
    for kind in MODELS:
        (folder / kind).mkdir()
        for name, data in presets.sound(kind).items():
            (folder / kind / name).write_bytes(data)
    return folder


def test_all_tables_have_a_sound_preset(sound):
    """The cases of `benchmarks.hostile.presets` fail for their change alone."""
    assert isinstance(zoo.load(sound / "gpt"), zoo.CausalLM)
    assert list(zoo.load(sound / "bert").labels) == ["no", "yes"]


def test_mutants_are_refused_or_read(sound, tmp_path, request):
    """Without the manifest, which knows of every changed byte."""
    folder = tmp_path / "gpt"
    shutil.copytree(sound / "gpt", folder)
    rng, refused = np.random.default_rng(0), 0
    count = 10_000 if request.config.getoption("everywhere") else 300
    for name in (WEIGHTS, "config.json", "task.json"):
        data = (folder / name).read_bytes()
        for _ in range(count // 3):
            (folder / name).write_bytes(mutant(data, rng))
            _, error = outcome(read_all, folder)
            if error is not None:
                refused += 1
                assert name in error, error
                assert len(error) < 1500
        (folder / name).write_bytes(data)
    assert refused > count / 10
