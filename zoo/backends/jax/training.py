"""Steps on JAX, which leave the weights in the model's variables.

A compiled step uses its weights up: it writes the new ones where the old ones were. Keras keeps the
new ones to itself until an epoch ends, so an error loses them and another thread finds none. Here
each step takes the weights from the variables and puts the new ones there, under a lock.
"""

import contextlib
import itertools
import operator
import signal
import threading

import jax
import keras
from keras.src.backend.common.stateless_scope import in_stateless_scope

from zoo.backends.steps import Steps

MODEL = ("trainable_variables", "non_trainable_variables")


class Trainer(Steps):
    """Keras' trainer, its steps made of `outputs_and_loss` and safe beside other threads."""

    def __call__(self, *args, **kwargs):
        if in_stateless_scope():  # the weights are arguments
            return super().__call__(*args, **kwargs)
        with self.weights_lock:
            return super().__call__(*args, **kwargs)

    def train_step(self, state, data):
        with self.weighing(*keras.utils.unpack_x_y_sample_weight(data)):
            return super().train_step(state, data)

    def compute_loss_and_updates(
        self,
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x,
        y,
        sample_weight,
        training=False,
        optimizer_variables=None,
    ):
        mapping = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(self.non_trainable_variables, non_trainable_variables, strict=True),
            *zip(self.metrics_variables, metrics_variables, strict=True),
        ]
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            if training:
                y_pred, loss = self.outputs_and_loss_in_training(x, y, sample_weight)
            else:
                y_pred, loss = self.outputs_and_loss(x, y, sample_weight, training=False)
        scaled = loss
        if training and self.optimizer is not None:
            mapping = zip(self.optimizer.variables, optimizer_variables, strict=True)
            with keras.StatelessScope(list(mapping)):
                scaled = self.optimizer.scale_loss(loss)
        non_trainable = current_values(scope, self.non_trainable_variables)
        metrics = current_values(scope, self.metrics_variables)
        return scaled, (loss, y_pred, non_trainable, metrics)

    def _update_metrics_variables(self, metrics_variables, loss, x, y, y_pred, sample_weight):
        mapping = list(zip(self.metrics_variables, metrics_variables, strict=True))
        with keras.StatelessScope(mapping) as scope:
            self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
        return logs, current_values(scope, self.metrics_variables)

    def make_train_function(self, force=False):
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            state = (*MODEL, "optimizer.variables", "metrics_variables")
            self.train_function = OnVariables(self, self.train_function, state)
        self.train_function.gather()

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            state = (*MODEL, "metrics_variables")
            self.test_function = OnVariables(self, self.test_function, state)
        self.test_function.gather()

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            step = self.predict_step
            if self.jit_compile and not self.run_eagerly:
                step = jax.jit(step)  # uses nothing up
            function = self._make_function(
                lambda state, data: (step(state, data)[0], state), concatenate_outputs=True
            )
            self.predict_function = OnVariables(self, function, MODEL)
        self.predict_function.gather()

    # Keras' loops have nothing to keep between steps.
    _jax_state = property(lambda self: None, lambda self, state: None)
    _jax_state_synced = property(lambda self: True, lambda self, is_synced: None)

    def _get_jax_state(self, **kinds):
        return None

    def jax_state_sync(self):
        """Nothing: the weights are in the variables."""


class OnVariables:
    """A compiled function from a state to a state, which finds it in variables and leaves it there.

    Args:
        model: a `Trainer`.
        function: `(state, iterator)` to `(results, state)`, as Keras makes it.
        names: what of the model makes up its state.
    """

    def __init__(self, model, function, names):
        self.model = model
        self.function = function
        self.names = names

    def gather(self):
        """Look up the variables; to be called where a run starts."""
        self.groups = [operator.attrgetter(name)(self.model) for name in self.names]

    def __call__(self, state, iterator):
        batches = list(itertools.islice(iterator, self.model.steps_per_execution))
        if not batches:
            raise StopIteration
        with self.model.weights_lock, uninterrupted():
            state = tuple([variable._value for variable in group] for group in self.groups)
            results, state = self.function(state, iter(batches))
            for group, values in zip(self.groups, state, strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable._value = value
        return results, (None,) * len(self.groups)


@contextlib.contextmanager
def uninterrupted():
    """Let Ctrl-C wait until the weights are back in their variables; a second one does not."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    waiting = []

    def remember(*signal_and_frame):
        if waiting:
            before(*signal_and_frame)
        waiting.append(signal_and_frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            before(*waiting[0])


def current_values(scope, variables):
    """What variables have become within a stateless scope."""
    values = [scope.get_current_value(variable) for variable in variables]
    pairs = zip(variables, values, strict=True)
    return [variable.value if value is None else value for variable, value in pairs]
