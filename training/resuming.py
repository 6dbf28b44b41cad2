"""Runs that are kept on disk, and go on where they were stopped."""

import concurrent.futures
import os
import random
import time
import warnings

import numpy as np
from zoo.training.checkpoint_folders import newest_state, write_state
from zoo.training.checkpoints import arrays_of, put_arrays, put_passing, put_random

from zoo.backends import backend
from zoo.backends.world import WORLD
from zoo.data.texts import user_level
from zoo.folders import checked_path, fcntl, try_lock
from zoo.tasks.resuming import Resumes

LOCK = ".lock"
_HELD = {}  # {folder: an open handle}, the locks of this process


class Checkpoint(Resumes):
    """Keeps a run of a task's `fit` in a folder, and goes on from there when it is run again.

    ```python
    model.fit(texts, epochs=3, callbacks=[Checkpoint("runs/a", every_minutes=10, keep=3)])
    ```

    Kept are the weights, the optimizer with what it has accumulated, averaged and scaled, all
    random numbers, the place in the data and its order, the metrics of the epoch so far, the
    history, and what the other callbacks know. A run that was killed and started again has the
    losses of one that was not: to the bit on one backend, to rounding on another. The copy off the
    device is made between two steps; writing goes on beside training.

    It takes texts, token files, arrays, a `PyDataset` that gives the same for the same place,
    datasets with places, and Grain's loaders, which are read again up to the place.

    Args:
        folder: path of the run; made if it is not there.
        every_minutes: float, how often a state is kept; None for never by the clock.
        every_steps: int, how often in batches; None for never by the count. The end is always kept.
        keep: int, how many states stay on disk.

    Raises:
        ValueError: a number that is out of range.
    """

    def __init__(self, folder, every_minutes=10, every_steps=None, keep=3):
        super().__init__()
        for name, value, least in (
            ("every_minutes", every_minutes, 0),
            ("every_steps", every_steps, 1),
            ("keep", keep, 1),
        ):
            if value is not None and (isinstance(value, bool) or not value >= least):
                raise ValueError(f"{name} must be at least {least}; got {value!r}.")
        self.folder = checked_path(folder)
        self.every_minutes = every_minutes
        self.every_steps = every_steps
        self.keep = keep
        self.step = 0  # batches trained on so far, over all processes
        self._found = None
        self._writer = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._writing = None

    def find(self, model, reading):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        self._reading = reading
        self._found = newest_state(self.folder)
        self.step = 0
        self._kept = 0, time.monotonic()
        if self._found is None:
            return None
        place, arrays, state = self._found
        put_arrays(model, arrays, place)
        self.step = state["step"]
        self._kept = self.step, time.monotonic()
        return state["place"]

    def on_train_begin(self, logs=None):
        if not hasattr(self, "_reading"):
            raise ValueError(
                "A Checkpoint keeps runs of zoo's tasks, whose fit can begin anywhere in the data; "
                f"got a {type(self.model).__name__}. For others there is BackupAndRestore."
            )
        self._at_start = [plain_state(callback) for callback in self.beside]
        if self._found is not None:
            _, arrays, state = self._found
            for number, (callback, known) in enumerate(
                zip(self.beside, state["callbacks"], strict=False)
            ):
                put_callback(callback, number, known, arrays)
            self.model.history.history.update(state["history"])

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._before = epoch, self.step
        if self._found is not None:
            self._before -= self._found[2]["place"]["batch"]
            if not self._found[2]["place"]["batch"]:
                self._put_random(put_random)

    def on_train_batch_begin(self, batch, logs=None):
        if self._found is not None:  # PyTorch's loader has drawn a number when its pass began
            self._put_random(put_passing)
        self.step = self._before + batch
        if batch and self._is_due():
            self._save(self._epoch, batch, self.model.history.history, is_over=False)
        self.step += self.model.steps_per_execution

    def on_epoch_end(self, epoch, logs=None):
        is_over = self.model.stop_training
        if is_over or epoch + 1 == self.params["epochs"]:
            self.wait()
        elif not self._is_due():
            return
        history = {name: list(values) for name, values in self.model.history.history.items()}
        for name, value in (logs or {}).items():
            history.setdefault(name, []).append(value)
        self._save(epoch + 1, 0, history, is_over)

    def on_train_end(self, logs=None):
        self.wait()
        self._found = None
        handle = _HELD.pop(self.folder.resolve(), None)
        if handle is not None:
            os.close(handle)

    def _put_random(self, put):
        place, arrays, state = self._found
        put(self.model, arrays, place)
        version, numbers, gauss = state["random"]
        random.setstate((version, tuple(numbers), gauss))
        self._found = None

    def _is_due(self):
        return backend.tell_all(bool(self._is_due_here()))  # the clocks of processes differ

    def _is_due_here(self):
        step, moment = self._kept
        if self._writing is not None and not self._writing.done():
            return False
        by_count = self.every_steps and self.step // self.every_steps > step // self.every_steps
        by_clock = (
            self.every_minutes is not None
            and self.step > step
            and time.monotonic() - moment >= 60 * self.every_minutes
        )
        return by_count or by_clock

    def _save(self, epoch, batch, history, is_over):
        self.wait()
        arrays = arrays_of(self.model)
        known = []
        for number, callback in enumerate(self.beside):
            known.append(changes(plain_state(callback), self._at_start[number]))
            arrays |= arrays_of_callback(callback, number)
        place = {"epoch": epoch, "batch": batch, "data": self._reading.state, "is_over": is_over}
        state = {
            "step": self.step,
            "place": place,
            "history": plain(history),
            "callbacks": known,
            "random": random.getstate(),
        }
        self._kept = self.step, time.monotonic()
        if WORLD.rank == 0:
            self._writing = self._writer.submit(
                write_state, self.folder, self.step, arrays, state, self.keep
            )

    def wait(self):
        """Let the writing end; say what stopped it, and go on: older states are unchanged."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except OSError as error:
            warnings.warn(f"{error} Training goes on.", stacklevel=user_level())

    def _lock(self):
        folder = self.folder.resolve()
        if folder in _HELD or WORLD.rank:
            return
        lock = folder / LOCK  # the folder's own is taken while a state is put into it
        lock.touch()
        try:
            _HELD[folder] = try_lock(lock, fcntl.LOCK_NB if fcntl else 0)
        except BlockingIOError:
            raise ValueError(
                f"Another process trains into {str(self.folder)!r}. Wait for it, or choose another "
                "folder."
            ) from None


def plain_state(callback):
    """The attributes of a callback that JSON can hold."""
    return {
        name: plain(value)
        for name, value in vars(callback).items()
        if name not in ("params", "_model") and is_plain(value)
    }


def changes(now, before):
    return {n: v for n, v in now.items() if n not in before or before[n] != v}


def is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_plain(one) for name, one in value.items())
    return value is None or isinstance(value, (bool, int, float, str, np.generic))


def plain(value):
    """Lists of tuples, and Python's own numbers of NumPy's."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def arrays_of_callback(callback, number):
    """Lists of arrays, such as the best weights of an `EarlyStopping`."""
    return {
        f"callback/{number}/{name}/{i}": np.array(array, order="C")
        for name, value in vars(callback).items()
        if isinstance(value, list) and value and all(isinstance(a, np.ndarray) for a in value)
        for i, array in enumerate(value)
    }


def put_callback(callback, number, known, arrays):
    vars(callback).update(known)
    lists = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        owner, _, rest = rest.partition("/")
        if kind == "callback" and owner == str(number):
            attribute, _, place = rest.rpartition("/")
            lists.setdefault(attribute, {})[int(place)] = array
    for name, parts in lists.items():
        setattr(callback, name, [parts[i] for i in sorted(parts)])
