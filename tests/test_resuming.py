"""Runs that are stopped anywhere and run again have the losses of runs that were not."""

import json
import os

import keras
import numpy as np
import pytest
from zoo.training import Checkpoint

import zoo
from tests.models import TEXTS, random_ids, tiny_gpt, tiny_lstm, tokenizer

EPOCHS = 3
ROWS = random_ids(14, 9)


class Stopped(Exception):
    """What stands for a kill."""


class Losses(keras.callbacks.Callback):
    """Notes the running loss after each batch, and stops a run before one."""

    def __init__(self, stop_before=None):
        super().__init__()
        self.stop_before = stop_before
        self.losses = {}

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.now, batch) == self.stop_before:
            raise Stopped

    def on_train_batch_end(self, batch, logs=None):
        self.losses[self.now, batch] = logs["loss"]


class Sequence(keras.utils.PyDataset):
    """Batches whose order changes with each epoch, as a user may write them."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(5)
        self.order = np.arange(5)

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = ROWS[2 * self.order[index] :][:2]
        return rows[:, :-1], rows[:, 1:]

    def on_epoch_end(self):
        self.rng.shuffle(self.order)


def token_file(folder):
    path = folder / "tokens.bin"
    if not path.exists():
        zoo.data.write_token_file(TEXTS * 3, tokenizer(), path, verbose=False)
    return zoo.data.PackedRows(zoo.data.TokenFile(path), length=8, batch_size=6)


def grain_loader():
    grain = pytest.importorskip("grain")
    rows = grain.MapDataset.source(ROWS).shuffle(seed=1).batch(2)
    return rows.map(lambda rows: (rows[:, :-1], rows[:, 1:]))


DATA = {
    "texts": lambda folder: {"x": [text[:60] for text in TEXTS] * 2, "batch_size": 2},
    "token file": lambda folder: {"x": token_file(folder)},
    "arrays": lambda folder: {"x": ROWS[:, :-1], "y": ROWS[:, 1:], "batch_size": 4},
    "PyDataset": lambda folder: {"x": Sequence()},
    "Grain's places": lambda folder: {"x": grain_loader()},
    "Grain's iterator": lambda folder: {"x": grain_loader().to_iter_dataset()},
}


def model():
    made = tiny_gpt(max_length=16, dropout=0.2)
    optimizer = keras.optimizers.AdamW(
        0.01, gradient_accumulation_steps=2, use_ema=True, global_clipnorm=1.0
    )
    made.compile(optimizer=optimizer)
    return made


def fit(folder, data, notes, *callbacks, made=None, seed=0, epochs=EPOCHS, **options):
    keras.utils.set_random_seed(seed)
    made = made or model()
    keeper = Checkpoint(folder, every_minutes=None, every_steps=1, keep=2)
    callbacks = [keeper, notes, *callbacks]
    try:
        history = made.fit(**data, epochs=epochs, verbose=0, callbacks=callbacks, **options)
    finally:
        keeper.wait()  # so that it is known what was kept when the run stopped
    return made, history.history


def weights(made):
    return {w.path: keras.ops.convert_to_numpy(w) for w in made.weights}


SLOW = ("token file", "Grain's places", "Grain's iterator")  # a model is compiled four times


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow_to_compile) if k in SLOW else k for k in DATA]
)
def test_a_run_that_was_stopped_anywhere_is_the_unbroken_one(kind, tmp_path):
    whole = Losses()
    expected, history = fit(tmp_path / "whole", DATA[kind](tmp_path), whole)
    places = sorted(whole.losses)
    assert len({epoch for epoch, _ in places}) == EPOCHS
    parts = {}
    for number, stop in enumerate((places[2], places[len(places) // 2 + 1], None)):
        notes = Losses(stop)
        keras.utils.set_random_seed(100 + number)  # each process is in another state
        data = DATA[kind](tmp_path)
        if stop is not None:
            with pytest.raises(Stopped):
                fit(tmp_path / "runs", data, notes, seed=0 if number == 0 else 100 + number)
        else:
            made, resumed = fit(tmp_path / "runs", data, notes, seed=77)
            assert len(notes.losses) < len(places)
        parts |= notes.losses
    assert parts == whole.losses
    assert resumed == history
    for name, value in weights(expected).items():
        np.testing.assert_array_equal(weights(made)[name], value)


@pytest.mark.slow_to_compile
def test_what_is_over_is_not_trained_again_and_may_be_prolonged(tmp_path):
    data = DATA["arrays"](tmp_path)
    expected, history = fit(tmp_path / "whole", data, Losses(), epochs=3)
    _, first = fit(tmp_path / "run", data, Losses(), epochs=2)
    again = Losses()
    made, same = fit(tmp_path / "run", data, again, seed=5, epochs=2)
    assert same == first
    assert not again.losses
    made, longer = fit(tmp_path / "run", data, Losses(), seed=6, epochs=3)
    assert longer == history
    np.testing.assert_array_equal(*(next(iter(weights(one).values())) for one in (made, expected)))


@pytest.mark.slow_to_compile
def test_other_callbacks_know_what_they_knew(tmp_path):
    def callbacks():
        return (
            keras.callbacks.EarlyStopping(
                "loss", patience=2, restore_best_weights=True, mode="max"
            ),
            keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, mode="max"),
        )

    data = DATA["arrays"](tmp_path)
    expected, history = fit(tmp_path / "whole", data, Losses(), *callbacks(), epochs=9)
    assert len(history["loss"]) == 3  # it was stopped, and the rate was lowered
    assert history["learning_rate"][-1] < history["learning_rate"][0]
    with pytest.raises(Stopped):
        fit(tmp_path / "run", data, Losses((2, 1)), *callbacks(), epochs=9)
    made, resumed = fit(tmp_path / "run", data, Losses(), *callbacks(), seed=3, epochs=9)
    assert resumed == history
    again, same = fit(tmp_path / "run", data, Losses(), *callbacks(), seed=4, epochs=9)
    assert same == history
    for one in (made, again):
        for name, value in weights(expected).items():
            np.testing.assert_array_equal(weights(one)[name], value)


@pytest.mark.slow_to_compile
def test_a_stateful_run_goes_on_with_its_states(tmp_path):
    def made():
        one = tiny_lstm(
            with_tokenizer=False, task_arguments={"stateful": True, "sequence_length": 4}
        )
        one.compile(optimizer=keras.optimizers.Adam(0.01))
        return one

    data = {"x": random_ids(1, 90)[0], "batch_size": 2}
    whole, notes = Losses(), Losses((1, 3))
    fit(tmp_path / "whole", data, whole, made=made(), epochs=2)
    with pytest.raises(Stopped):
        fit(tmp_path / "run", data, notes, made=made(), epochs=2)
    rest = Losses()
    fit(tmp_path / "run", data, rest, made=made(), epochs=2, seed=9)
    assert notes.losses | rest.losses == whole.losses


@pytest.mark.slow_to_compile
def test_metrics_and_counted_steps_go_on(tmp_path):
    """With steps_per_epoch, a user's own metrics and a scaled loss."""

    def made():
        one = tiny_gpt(max_length=16, dtype="mixed_float16")
        one.compile(
            optimizer=keras.optimizers.Adam(0.01),
            weighted_metrics=[keras.metrics.SparseTopKCategoricalAccuracy(9, name="top")],
        )
        return one

    data = DATA["arrays"](tmp_path)
    options = {"steps_per_epoch": 3, "validation_data": (ROWS[:2, :-1], ROWS[:2, 1:])}
    whole, notes, rest = Losses(), Losses((1, 2)), Losses()
    _, history = fit(tmp_path / "whole", data, whole, made=made(), **options)
    with pytest.raises(Stopped):
        fit(tmp_path / "run", data, notes, made=made(), **options)
    _, resumed = fit(tmp_path / "run", data, rest, made=made(), seed=9, **options)
    assert notes.losses | rest.losses == whole.losses
    assert resumed == history
    assert history.keys() >= {"top", "val_loss", "perplexity"}


@pytest.mark.parametrize(
    "make", [lambda: (ROWS[:2, :-1] for _ in range(3)), lambda: iter([ROWS[:2, :-1]])]
)
def test_data_without_places_is_refused_before_training(make, tmp_path):
    with pytest.raises(ValueError, match="does not say where it is: after a kill other batches"):
        fit(tmp_path, {"x": make()}, Losses())
    assert not any(tmp_path.iterdir())


def test_other_data_and_other_models_are_refused(tmp_path):
    data = DATA["arrays"](tmp_path)
    with pytest.raises(Stopped):
        fit(tmp_path, data, Losses((1, 1)))
    with pytest.raises(ValueError, match="then an epoch had 4 batches, now 7"):
        fit(tmp_path, {**data, "batch_size": 2}, Losses())
    with pytest.raises(ValueError, match="belongs to another model: "):
        fit(tmp_path, data, Losses(), made=tiny_gpt(max_length=16, hidden_dim=8))
    other = tiny_gpt(max_length=16)
    other.compile(optimizer=keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="belongs to another optimizer"):
        fit(tmp_path, data, Losses(), made=other)
    with pytest.raises(ValueError, match="One callback keeps a run; got 2"):
        fit(tmp_path, data, Losses(), Checkpoint(tmp_path))


@pytest.mark.backend_free
def test_numbers_out_of_range_and_other_models_of_keras(tmp_path):
    for name in ("keep", "every_steps"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            Checkpoint(tmp_path, **{name: 0})
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="keeps runs of zoo's tasks"):
        plain.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0, callbacks=[Checkpoint(tmp_path)])


@pytest.mark.slow_to_compile
def test_folders_are_rotated_and_a_damaged_one_is_passed_over(tmp_path):
    data = DATA["arrays"](tmp_path)
    whole = Losses()
    fit(tmp_path / "whole", data, whole)
    with pytest.raises(Stopped):
        fit(tmp_path / "run", data, Losses((2, 2)))
    newest, before = sorted((tmp_path / "run").glob("step-*"), reverse=True)
    manifest = json.loads((newest / "manifest.json").read_text())
    assert manifest["step"] == int(newest.name.removeprefix("step-"))
    content = bytearray((newest / "state.safetensors").read_bytes())
    content[-5] ^= 1
    (newest / "state.safetensors").write_bytes(content)
    rest = Losses()
    with pytest.warns(UserWarning, match="is damaged and passed over: .*checksum is another"):
        fit(tmp_path / "run", data, rest)
    assert rest.losses == {k: v for k, v in whole.losses.items() if k in rest.losses}
    assert len(rest.losses) == len(whole.losses) - int(before.name.removeprefix("step-"))


def test_a_full_disk_stops_neither_training_nor_what_was_kept(tmp_path, monkeypatch):
    data = DATA["arrays"](tmp_path)
    with pytest.raises(Stopped):
        fit(tmp_path, data, Losses((1, 0)))
    kept = sorted(os.listdir(tmp_path))

    def full(path, arrays):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("zoo.training.checkpoint_folders.write_arrays", full)
    rest = Losses()
    with pytest.warns(UserWarning, match="the disk is full.*Nothing was changed. Training goes on"):
        fit(tmp_path, data, rest)
    assert max(rest.losses) == (2, 3)
    assert sorted(os.listdir(tmp_path)) == kept
