"""What a run on the command line is made of: its settings on disk, its optimizer, its callbacks."""

import difflib
from pathlib import Path

import keras
import yaml
from zoo.training.resuming import Checkpoint
from zoo.training.schedules import schedule_by_name

from zoo.backends import backend
from zoo.backends.world import WORLD
from zoo.files import write_atomically
from zoo.optimizers import NOT_DECAYED
from zoo.saving import save

SETTINGS = "run.yaml"
MODEL = "model"
STATES = "states"
MAY_CHANGE = ("steps", "epochs", "keep", "checkpoint_minutes", "patience", "sample_every")


def read_settings(path, known):
    """The settings in a YAML file, `{name: value}`.

    Raises:
        ValueError: not YAML, no mapping, or a key that nobody knows; names the nearest.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be YAML; got {' '.join(str(error).split())}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a setting a line, such as 'steps: 100'; got {found!r}.")
    settings = {str(name).replace("-", "_"): value for name, value in found.items()}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{path} has a key {name!r} that nobody knows.{meant}")
    return settings


def keep_settings(folder, settings):
    """Write the settings of a run into its folder; refuse to change what a run depends on.

    Raises:
        ValueError: the folder has a run with other settings.
    """
    folder = Path(folder)
    path = folder / SETTINGS
    if WORLD.rank:
        return
    settings = {name: plain(value) for name, value in settings.items() if value is not None}
    if path.exists():
        before = read_settings(path, [*settings, *yaml.safe_load(path.read_text("utf-8"))])
        for name in sorted(before.keys() | settings.keys()):
            if name not in MAY_CHANGE and before.get(name) != settings.get(name):
                raise ValueError(
                    f"The run in {str(folder)!r} was begun with {name}={before.get(name)!r}; got "
                    f"{settings.get(name)!r}. Pass the same to go on with it, or another folder."
                )
    write_atomically(path, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def plain(value):
    """What YAML has a form for."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def make_optimizer(
    steps,
    learning_rate,
    schedule="cosine",
    warmup_steps=None,
    decay_steps=None,
    weight_decay=0.1,
    clip=1.0,
    accumulate=1,
    ema=None,
):
    """AdamW that leaves norms and biases undecayed.

    All lengths are batches, which Keras' schedules count also where gradients are accumulated.
    """
    rate = schedule_by_name(schedule, learning_rate, steps, warmup_steps, decay_steps)
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        global_clipnorm=clip or None,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
        use_ema=ema is not None,
        ema_momentum=0.99 if ema is None else ema,
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def kept(folder, checkpoint_minutes, keep):
    """The Checkpoint of a run's folder."""
    return Checkpoint(Path(folder) / STATES, every_minutes=checkpoint_minutes, keep=keep)


def epochs_of(steps, validate_every=None):
    """`(epochs, steps_per_epoch)` of a run that is measured every so many steps.

    Raises:
        ValueError: the steps are not a multiple of it.
    """
    if validate_every is None:
        divisors = [n for n in range(25, 251) if steps % n == 0]
        validate_every = divisors[-1] if divisors else steps
    if steps % validate_every:
        raise ValueError(
            f"The steps must be a multiple of validate_every; got {steps} and {validate_every}."
        )
    return steps // validate_every, validate_every


def finish(model, folder, history):
    """Write the model of a run, by its first process; the last of its history, `{name: number}`."""
    with backend.whole_weights(model):
        if WORLD.rank == 0:
            save(model, Path(folder) / MODEL)
    return {name: float(values[-1]) for name, values in history.items()}


def loggers(folder, tensorboard=False):
    """Keras' callbacks that write what is measured: CSV always, TensorBoard where asked for."""
    found = [keras.callbacks.CSVLogger(str(Path(folder) / "log.csv"), append=True)]
    if tensorboard:
        found.append(keras.callbacks.TensorBoard(str(Path(folder) / "tensorboard")))
    return found


def early_stopping(monitor, patience):
    """None without patience."""
    if patience is None:
        return []
    return [keras.callbacks.EarlyStopping(monitor, patience=patience, restore_best_weights=True)]
