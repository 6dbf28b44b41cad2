"""Several tasks over one backbone."""

import keras
import numpy as np
import pytest
from zoo.training.checkpoints import save_checkpoint
from zoo.training.mixed_batches import rows_of, shares_of
from zoo.training.multitask import MultiTask

import zoo
from tests.distilled import PARTS, Y, classifier
from tests.models import tiny_backbone, with_weights, word_pieces

WORDS = [text.split() for text in PARTS]
TAGS = [["x" if "a" in word else "o" for word in words] for words in WORDS]
DATA = {"kinds": (PARTS, Y), "letters": (WORDS, TAGS)}


def tasks():
    backbone = tiny_backbone()
    return {
        "kinds": with_weights(zoo.TextClassifier(backbone, word_pieces(), ["a", "b"])),
        "letters": with_weights(zoo.TokenClassifier(backbone, word_pieces(), ["o", "x"])),
    }


@pytest.mark.slow_to_compile
def test_all_heads_learn_in_one_fit():
    keras.utils.set_random_seed(0)
    model = MultiTask(tasks())
    model.compile(keras.optimizers.Adam(1e-2))
    before = model.evaluate(DATA)
    history = model.fit(DATA, batch_size=8, epochs=25, validation_data=DATA, verbose=0).history
    after = {name: history[f"val_{name}"][-1] for name in before}
    for name in ("kinds_loss", "letters_loss"):
        assert after[name] < 0.3 * before[name]
        assert history[name][-1] < history[name][0]
    assert after["kinds_accuracy"] == after["letters_accuracy"] == 1
    assert {"loss", "kinds_loss", "kinds_accuracy", "letters_accuracy"} <= history.keys()
    alone = model.tasks["letters"].evaluate(*DATA["letters"], verbose=0, return_dict=True)
    assert alone["loss"] == pytest.approx(after["letters_loss"], rel=1e-4)


def test_the_loss_is_the_sum_by_shares():
    model = MultiTask(tasks(), temperature=2.0)
    model.compile(keras.optimizers.SGD(0.0))
    for task in model.tasks.values():
        task.get_layer("head_dropout").rate = 0.0
    data = {"kinds": (PARTS, Y), "letters": (WORDS[:1], TAGS[:1])}
    shares = shares_of({"kinds": 4, "letters": 1}, 2.0)
    assert shares == {"kinds": pytest.approx(2 / 3), "letters": pytest.approx(1 / 3)}
    batch = model.batches(data, 6, seed=0)[0]
    assert {name: len(y) for name, y in batch[1].items()} == {"kinds": 4, "letters": 1}
    logs = model.fit(data, batch_size=6, epochs=1, verbose=0).history
    expected = sum(shares[name] * logs[f"{name}_loss"][0] for name in shares)
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend_free
def test_shares_by_temperature():
    sizes = {"a": 900, "b": 100}
    assert shares_of(sizes, 1.0) == {"a": 0.9, "b": 0.1}
    assert shares_of(sizes, 2.0)["b"] == pytest.approx(0.25)
    assert shares_of(sizes, 1e9)["b"] == pytest.approx(0.5)
    assert rows_of([0.9, 0.1], 32) == [29, 3]
    assert rows_of([0.999, 0.001], 8) == [7, 1]
    for count in range(3, 40):
        assert sum(rows_of([0.98, 0.01, 0.01], count)) == count
        assert min(rows_of([0.98, 0.01, 0.01], count)) == 1


def test_every_example_of_a_task_comes_as_often_as_its_others():
    model = MultiTask(tasks())
    data = {"kinds": (PARTS * 3, Y * 3), "letters": (WORDS, TAGS)}
    batches = model.batches(data, batch_size=4, seed=3)
    assert len(batches) == 4  # 16 examples in all
    rows = [batches.in_epoch(epoch, i)[1] for epoch in range(3) for i in range(4)]
    assert {len(y["kinds"]) for y in rows} == {3}
    assert {len(y["letters"]) for y in rows} == {1}
    counts = np.bincount(np.concatenate([y["kinds"] for y in rows]))
    np.testing.assert_array_equal(counts, [18, 18])
    same = model.batches(data, batch_size=4, seed=3)
    for one, other in zip(batches, same, strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, one, other)


def two(**changed):
    return {**tasks(), **changed}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MultiTask({"a": classifier(1)}), "at least two tasks"),
        (lambda: MultiTask(two(kinds=classifier(1))), "must share one backbone"),
        (lambda: MultiTask(tasks(), temperature=0.5), "temperature must be at least 1; got 0.5"),
        (lambda: MultiTask(tasks()).fit({"kinds": (PARTS, Y)}), r"got \['kinds'\]"),
        (lambda: MultiTask(tasks()).fit(DATA, batch_size=1), "at least 2; got 1"),
        (lambda: MultiTask(tasks()).compile("adam", loss="mse"), "MultiTask takes none"),
    ],
    ids=["one", "backbones", "temperature", "names", "batch", "loss"],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match="kinds must be a task of zoo; got str"):
        MultiTask(two(kinds="bert-small"))


def test_a_run_of_heads_of_one_path_is_refused_before_one_is_lost(tmp_path):
    backbone = tiny_backbone()
    heads = {name: zoo.TextClassifier(backbone, word_pieces(), ["a", "b"]) for name in ("x", "y")}
    model = MultiTask(heads)
    model.compile("adam")
    with pytest.raises(ValueError, match=r"weights share a path with another\. Keep each task by"):
        save_checkpoint(tmp_path / "state.safetensors", model)
    assert not list(tmp_path.iterdir())
