"""What watches over `fit`."""

import keras
import numpy as np
from keras import ops

from zoo.backends import backend

STEPS = 100  # between two looks


class StopsAtNaN(keras.callbacks.Callback):
    """Ends `fit` with an error where the loss is no number any more, and puts good weights back.

    It looks where an epoch ends and every `STEPS` steps, and then keeps a copy of what is trained
    if that is finite: no step waits for its loss, and at most so many are lost. Every task has one;
    a `keras.callbacks.TerminateOnNaN` in its place leaves the weights as they are.
    """

    async_safe = True  # the end of a step is seen in another thread, which may wait for the loss

    def on_train_begin(self, logs=None):
        self._num_steps = 0
        self._kept = None
        self._keep()

    def on_train_batch_end(self, batch, logs=None):
        self._num_steps += 1
        if self._num_steps % STEPS == 0:
            if is_finite(logs):
                self._keep()
            else:
                self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if is_finite(logs) or self._kept is None:
            return
        steps, kept = self._kept
        for variable, value in zip(self.model.trainable_variables, kept, strict=True):
            backend.put_whole(variable, value)
        self.model.renew_optimizer()
        raise FloatingPointError(
            f"The loss is no number any more, {self._num_steps} steps after fit began; the model "
            f"has the weights of step {steps} again, and an optimizer that starts anew. Lower the "
            "learning rate, or look for what is not finite in the data and its weights."
        )

    def on_train_end(self, logs=None):
        self._kept = None

    def _keep(self):
        with self.model.weights_lock:
            values = [np.array(backend.whole(v)) for v in self.model.trainable_variables]
        if all(np.isfinite(np.sum(value, dtype="float64")) for value in values):
            self._kept = self._num_steps, values


def is_finite(logs):
    return bool(np.isfinite(ops.convert_to_numpy((logs or {}).get("loss", 0.0))))
