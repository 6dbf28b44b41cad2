"""Several processes and devices train one model: shares of batches, and what is refused.

Equality with one process is held by `python -m benchmarks.distribution`, with --everywhere here.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from zoo.training import distribute

from tests.models import TEXTS, random_ids, tiny_gpt
from zoo.backends import backend, world
from zoo.tasks.spreading import facts_of, of_rank


@pytest.fixture
def two_ranks(monkeypatch):
    """What the second of two processes knows."""
    made = world.World(rank=1, size=2, shards=2, is_distributed=True)
    for module in ("zoo.backends.world", "zoo.tasks.spreading"):
        monkeypatch.setattr(f"{module}.WORLD", made)
    return made


@pytest.mark.backend_free
def test_ranks_read_all_rows_once_and_what_fills_up_weighs_nothing(two_ranks):
    rows, labels = np.arange(10).reshape(5, 2), np.arange(5)
    shares = []
    for rank in range(2):
        two_ranks.rank = rank
        shares.append(world.share(({"token_ids": rows}, labels)))
    x = np.concatenate([share[0]["token_ids"] for share in shares])
    weights = np.concatenate([share[2] for share in shares])
    np.testing.assert_array_equal(x[:5], rows)
    np.testing.assert_array_equal(weights, [1, 1, 1, 1, 1, 0])
    assert [len(share[1]) for share in shares] == [3, 3]
    with pytest.raises(ValueError, match="5 rows must divide by the 2 parts"):
        world.share((rows,))
    given = world.share((rows, labels, np.full((5, 2), 0.5, "float32")))
    np.testing.assert_array_equal(given[2], [[0.5, 0.5], [0.5, 0.5], [0, 0]])


@pytest.mark.backend_free
def test_the_first_rank_alone_writes_and_prints(two_ranks, tmp_path):
    import keras

    callbacks = [keras.callbacks.CSVLogger(tmp_path / "log.csv"), keras.callbacks.EarlyStopping()]
    kept, verbose = of_rank(callbacks, "auto")
    assert (kept, verbose) == (callbacks[1:], 0)
    two_ranks.rank = 0
    assert of_rank(callbacks, "auto") == (callbacks, "auto")


def test_what_must_be_the_same_tells_other_data_and_optimizers_apart():
    def facts(seed=0, rate=0.1, rows=6):
        model = tiny_gpt(with_tokenizer=False)
        model.compile(keras_sgd(rate))
        feed = model.feed(random_ids(rows, 9, seed), training=True, batch_size=2)
        from zoo.tasks.resuming import with_places

        reading = with_places(feed, 0, None)["reading"]
        reading.batches.reseed(0)
        return facts_of(model, reading)

    assert facts() == facts()
    assert len({facts(), facts(seed=1), facts(rate=0.2), facts(rows=8)}) == 4


def keras_sgd(rate):
    import keras

    return keras.optimizers.SGD(rate)


TWO_WORKERS = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}


def test_processes_that_know_nothing_of_each_other_are_refused(monkeypatch):
    if backend.__name__.endswith("jax"):
        pytest.skip("JAX' processes are told of each other, or are alone")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TF_CONFIG", json.dumps(TWO_WORKERS))
    with pytest.raises(ValueError, match=r"one of 2 .*distribute\(\)` before the model is made"):
        tiny_gpt().fit(list(TEXTS), verbose=0)


def test_environments_that_make_no_sense_are_refused(monkeypatch):
    kind = backend.__name__.rpartition(".")[2]
    if kind == "torch":
        pytest.skip("torchrun sets all of it")
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "localhost:1")
    monkeypatch.setenv("TF_CONFIG", "workers: 2")
    message = "there is no JAX_NUM_PROCESSES" if kind == "jax" else "TF_CONFIG must be JSON such"
    with pytest.raises(ValueError, match=message):
        distribute()
    if kind == "tensorflow":
        others = TWO_WORKERS["cluster"] | {"ps": ["c:1"]}
        monkeypatch.setenv("TF_CONFIG", json.dumps(TWO_WORKERS | {"cluster": others}))
        with pytest.raises(ValueError, match=r"must be workers, .*; got ps"):
            distribute()


LAYOUTS = {
    "jax": "layout must be data, tensor or sharded; got 'tensors'",
    "tensorflow": "each device holds the whole model; got layout",
    "torch": "layout must be data or sharded; got 'tensors'",
}


def test_layouts_that_are_not_there_are_refused():
    kind = backend.__name__.rpartition(".")[2]
    with pytest.raises(ValueError, match=LAYOUTS[kind]):
        distribute(layout="tensors")
    if kind == "jax":
        with pytest.raises(ValueError, match="how many devices share a model"):
            distribute(layout="tensor")
        with pytest.raises(ValueError, match="must divide into groups of model_parallel"):
            distribute(layout="tensor", model_parallel=7)


def test_alone_nothing_changes():
    if len(backend.device_names()) > 1:
        pytest.skip("this machine has several accelerators")
    if backend.__name__.endswith("jax"):
        pytest.skip("JAX keeps the distribution for the life of the process")
    assert (distribute().size, distribute().shards) == (1, 1)


def test_losses_are_those_of_one_process(request, backend):
    if not request.config.getoption("everywhere"):
        pytest.skip("needs several processes: --everywhere, or python -m benchmarks.distribution")
    command = [sys.executable, "-m", "benchmarks.distribution", "--backends", backend]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.backend_free
def test_texts_that_do_not_fit_into_memory_name_the_command(monkeypatch):
    monkeypatch.setattr("zoo.data.texts.total_memory", lambda: 500)
    with pytest.raises(ValueError, match="zoo data tokenize TEXTS --tokenizer new:16000"):
        tiny_gpt().fit(list(TEXTS), verbose=0)
