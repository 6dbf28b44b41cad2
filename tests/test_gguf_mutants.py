"""GGUF files of whole models, damaged anywhere: refused by name, or loaded with finite weights."""

import numpy as np
import pytest

import zoo
from tests.test_gguf_models import make
from tests.test_hostile_files import mutant

pytestmark = pytest.mark.backend_free
MANY = [("qwen3", 10_000), ("gpt2", 500)]


@pytest.mark.parametrize(
    ("name", "count"),
    [("llama", 60), *(pytest.param(*one, marks=pytest.mark.exhaustive) for one in MANY)],
)
def test_damage_is_said_with_the_file_or_changes_numbers_alone(name, count, tmp_path):
    zoo.save(make(name), tmp_path / "sound.gguf", format="gguf")
    data = (tmp_path / "sound.gguf").read_bytes()
    size = data.index(b"output_norm.weight")  # what describes the model, and the first numbers
    rng, refusals = np.random.default_rng(0), []
    for _ in range(count):
        (tmp_path / "mutant.gguf").write_bytes(mutant(data[:size], rng) + data[size:])
        try:
            model = zoo.load(tmp_path / "mutant.gguf")
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert all(np.isfinite(array).all() for array in model.get_weights())
    assert all("mutant.gguf" in refusal for refusal in refusals)
    assert len(refusals) > count / 3
