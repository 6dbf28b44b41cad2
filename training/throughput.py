"""How fast a run is and how long it will take, in the progress bar and the logs of a batch."""

import time

import keras

from zoo.backends import backend
from zoo.backends.world import WORLD

WINDOW = 50  # batches over which speed is taken


class Throughput(keras.callbacks.Callback):
    """Adds `tokens_per_second`, `minutes_left` and, on known devices, `mfu` to each batch's logs.

    Args:
        tokens_per_batch: int.
        total_batches: int, of the whole run.
        flops_per_token: float, for the share of the device's peak that is used.
        peak: float, FLOPs a second of the device; None where it is not known.
    """

    def __init__(self, tokens_per_batch, total_batches, flops_per_token, peak=None):
        super().__init__()
        self.tokens_per_batch = tokens_per_batch
        self.total_batches = total_batches
        self.flops_per_token = flops_per_token
        self.peak = peak

    def on_train_begin(self, logs=None):
        self._moments = []

    def on_epoch_begin(self, epoch, logs=None):
        self._moments = [time.perf_counter()]  # validation is no training
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._moments = [*self._moments[-WINDOW:], time.perf_counter()]
        passed = self._moments[-1] - self._moments[0]
        if passed <= 0 or logs is None:
            return
        rate = (len(self._moments) - 1) / passed
        steps = self.params.get("steps") or 0
        left = max(self.total_batches - self._epoch * steps - batch - 1, 0)
        logs["tokens_per_second"] = rate * self.tokens_per_batch
        logs["minutes_left"] = left / rate / 60
        if self.peak:
            logs["mfu"] = rate * self.tokens_per_batch * self.flops_per_token / self.peak


class Samples(keras.callbacks.Callback):
    """Lets a model write, at the end of epochs, into a file.

    Args:
        path: of the file, to which lines are added.
        prompts: a list of str.
        every: int, epochs.
        max_new_tokens: int.
    """

    def __init__(self, path, prompts, every=1, max_new_tokens=40):
        super().__init__()
        self.path = path
        self.prompts = list(prompts)
        self.every = every
        self.max_new_tokens = max_new_tokens

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        with backend.whole_weights(self.model):
            if WORLD.rank == 0:
                self._write(epoch)

    def _write(self, epoch):
        texts = self.model.generate(
            self.prompts,
            max_new_tokens=self.max_new_tokens,
            sampler="top_p",
            seed=0,
            truncate=True,
            verbose=0,
        )
        with open(self.path, "a", encoding="utf-8") as file:
            file.writelines(f"epoch {epoch + 1}: {text!r}\n" for text in texts)
