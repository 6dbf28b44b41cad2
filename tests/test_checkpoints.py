"""Training states on disk: a resumed run is the unbroken one, to the bit, dropout included."""

import errno
import os
import resource

import keras
import numpy as np
import pytest
from safetensors import safe_open
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint, restore_weights, save_checkpoint

from tests.models import VOCAB_SIZE, random_ids, tiny_lstm
from zoo import CausalLM
from zoo.models import GPT

ROWS = random_ids(12, 9)


def gpt():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_length": 16}
    return CausalLM(GPT(vocab_size=VOCAB_SIZE, dropout=0.3, **sizes), None)


def lstm():
    return tiny_lstm(with_tokenizer=False, dropout=0.3, word_dropout=0.2)


def compiled(make):
    model = make()
    model.compile(optimizer=keras.optimizers.AdamW(0.01))
    return model


def losses(model, epochs, *callbacks):
    fitted = model.fit(
        ROWS[:, :-1],
        ROWS[:, 1:],
        batch_size=4,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return fitted.history["loss"]


@pytest.mark.parametrize("make", [gpt, lstm])
def test_a_resumed_run_with_dropout_is_the_unbroken_one(make, tmp_path):
    model = compiled(make)
    losses(model, 2, CheckpointAndLog(tmp_path, tokens_per_step=32))
    kept = (tmp_path / CheckpointAndLog.CHECKPOINT).read_bytes()
    expected = losses(model, 2)

    keras.utils.set_random_seed(77)  # another process, in another state
    keras.random.normal((3,))
    resumed = compiled(make)
    (tmp_path / "checkpoint").write_bytes(kept)
    assert restore_checkpoint(tmp_path / "checkpoint", resumed) == 6
    assert losses(resumed, 2) == expected
    for name, weight in {w.path: w for w in model.weights}.items():
        same = next(w for w in resumed.weights if w.path == name)
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (weight, same)))
    assert len(set(expected)) == 2  # it did learn, with random numbers


def test_another_random_state_is_another_run(tmp_path):
    """What the test above would not see if dropout drew the same numbers whatever its state."""
    model = compiled(gpt)
    save_checkpoint(tmp_path / "checkpoint", model)
    expected = losses(model, 2)
    restore_checkpoint(tmp_path / "checkpoint", model)
    assert losses(model, 2) == expected
    keras.utils.set_random_seed(77)
    other = compiled(gpt)
    restore_weights(tmp_path / "checkpoint", other)
    assert losses(other, 2) != expected


def test_a_checkpoint_of_another_backend_is_taken_without_its_generators(tmp_path, monkeypatch):
    model = compiled(gpt)
    foreign = {"elsewhere": np.arange(9, dtype="uint8")}
    monkeypatch.setattr("zoo.training.checkpoints.backend.random_state", lambda: foreign)
    save_checkpoint(tmp_path / "checkpoint", model)
    with safe_open(tmp_path / "checkpoint", framework="np") as file:
        assert "random/backend/elsewhere" in file.keys()  # noqa: SIM118
    assert restore_checkpoint(tmp_path / "checkpoint", compiled(gpt)) == 0


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", compiled(gpt))
    with pytest.raises(ValueError, match=r"checkpoint belongs to another model: \d+"):
        restore_checkpoint(tmp_path / "checkpoint", compiled(lstm))
    with pytest.raises(ValueError, match="belongs to another model"):
        restore_weights(tmp_path / "checkpoint", lstm())


def test_a_disk_that_is_full_is_an_oserror_with_the_path(tmp_path):
    path = tmp_path / "checkpoint"
    model = compiled(gpt)
    save_checkpoint(path, model)
    old = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=f"Cannot write '{path}': ") as caught:
            save_checkpoint(path, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["checkpoint"]
