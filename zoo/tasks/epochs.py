"""Which batches each epoch of a run reads, and where a stream without a known length ends."""

import itertools

import keras

from zoo.backends import backend


class Planned:
    """Batches that know their epochs, read by Keras.

    Args:
        batches: `zoo.data.batches.Batches`.
        first_epoch: int.
        steps: int, batches of an epoch of `fit` where they are counted apart from the epochs of
            the data; else None.
        check: a function that is called with each batch, before it is used.
    """

    total = None

    def __init__(self, batches, first_epoch=0, steps=None, check=None):
        self.batches = batches
        self.epoch = first_epoch
        self.first_step = None if steps is None else first_epoch * steps
        self.check = check
        self.steps = steps
        self.start = first_epoch, 0

    @property
    def state(self):
        """What a later process needs to read the same batches."""
        return {"seed": self.batches.seed, "num_batches": len(self.batches), "steps": self.steps}

    def go_on(self, epoch, batch, state):
        """Begin at a batch of an epoch, as the run went on that had this state.

        Raises:
            ValueError: the data are not those of that run.
        """
        check_same_data(state, self.state)
        self.batches.reseed(state["seed"])
        self.epoch, self.start = epoch, (epoch, batch)
        if self.steps is not None:
            self.first_step = epoch * self.steps + batch

    def __call__(self):
        epoch, batches = self.epoch, self.batches
        if self.first_step is None:
            first = self.start[1] if epoch == self.start[0] else 0
            found = (batches.in_epoch(epoch, i) for i in range(first, len(batches)))
        else:
            found = map(batches.at_step, itertools.count(self.first_step))
        for batch in found:
            if self.check is not None:
                self.check(batch)
            yield batch

    def for_keras(self):
        count = len(self.batches) if self.first_step is None else None
        return backend.adapt_batches(self, count, first_step=self.start[1])


class Streamed:
    """Batches of a stream, read by Keras.

    Args:
        read: a function that starts a pass over the batches.
        num_batches: int, how many a pass has; None if that is not known.
        is_one_shot: bool, whether there is only one pass.
        is_endless: bool, whether passes follow each other without an end, as for epochs that count
            their steps.
        steps: int, how many batches such an epoch has.
    """

    def __init__(self, read, num_batches=None, is_one_shot=False, is_endless=False, steps=None):
        self.read = read
        self.steps = steps
        self.epoch = 0
        self.start = 0, 0
        self.num_batches = None if is_endless else num_batches
        self.is_one_shot = is_one_shot
        self.is_endless = is_endless and not is_one_shot
        self.total = None  # of a pass, when its end has been seen
        self._only = None

    @property
    def state(self):
        """What a later process needs to read the same batches."""
        return {"seed": None, "num_batches": self.num_batches, "steps": self.steps}

    def go_on(self, epoch, batch, state):
        """Begin at a batch of an epoch: those before it are read, and not used.

        Raises:
            ValueError: the data are not those of that run.
        """
        check_same_data(state, self.state)
        self.epoch, self.start = epoch, (epoch, batch)

    def __call__(self):
        if self.is_one_shot:
            self._only = self._pass() if self._only is None else self._only
            return self._only
        if self.is_endless:
            epoch, batch = self.start
            return itertools.islice(self._passes(), epoch * (self.steps or 0) + batch, None)
        return self._pass(self.start[1] if self.epoch == self.start[0] else 0)

    def _passes(self):
        is_empty = False
        while not is_empty:
            is_empty = True
            for batch in self.read():
                is_empty = False
                yield batch

    def _pass(self, first=0):
        # One batch ahead: so the end is known before Keras asks for what is not there.
        waiting, count = None, first
        for batch in itertools.islice(self.read(), first, None):
            if waiting is not None:
                yield waiting
            waiting, count = batch, count + 1
        self.total = count if self.num_batches is None else None
        if waiting is not None:
            yield waiting

    def for_keras(self):
        return backend.adapt_batches(self, self.num_batches, self.is_one_shot, self.start[1])


def check_same_data(before, now):
    counts = [one["steps"] or one["num_batches"] for one in (before, now)]
    is_same = before["num_batches"] == now["num_batches"] and before["steps"] == now["steps"]
    if not is_same:
        raise ValueError(
            "A run goes on with the data, the batch_size and the steps_per_epoch that it began "
            f"with: then an epoch had {counts[0]} batches, now {counts[1]}. Pass the same, or "
            "another folder for a run of its own."
        )


class Epochs(keras.callbacks.Callback):
    """Names the epoch to what is read, and ends it where a stream of unknown length does."""

    def __init__(self, trained=None, tested=None):
        super().__init__()
        self.trained = trained
        self.tested = tested

    def on_epoch_begin(self, epoch, logs=None):
        self._has_ended = False
        if self.trained is not None:
            self.trained.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.trained is not None and self.trained.total == batch + 1:
            self.model.stop_training = self._has_ended = True

    def on_epoch_end(self, epoch, logs=None):
        if self._has_ended:
            self.model.stop_training = False

    def on_test_batch_end(self, batch, logs=None):
        if self.tested is not None and self.tested.total == batch + 1:
            self.model.stop_evaluating = True


def with_epochs(callbacks, epochs, model):
    """A user's callbacks with one before them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        epochs.set_model(model)
        callbacks.append(epochs)
        return callbacks
    return [epochs, *keras.tree.flatten(callbacks or [])]


class Progress:
    """Keras' progress bar and callbacks over what `predict` computes.

    Args:
        model: a task.
        callbacks, verbose: as for `keras.Model.predict`.
    """

    def __init__(self, model, callbacks=None, verbose="auto"):
        self.model = model
        self.callbacks = callbacks
        self.verbose = verbose

    def over(self, parts):
        """The parts, one by one."""
        callbacks = self.callbacks
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = keras.callbacks.CallbackList(
                callbacks,
                add_progbar=self.verbose != 0,
                verbose=self.verbose,
                epochs=1,
                steps=len(parts),
                model=self.model,
            )
        callbacks.on_predict_begin()
        for number, part in enumerate(parts):
            callbacks.on_predict_batch_begin(number)
            yield part
            callbacks.on_predict_batch_end(number)
        callbacks.on_predict_end()
