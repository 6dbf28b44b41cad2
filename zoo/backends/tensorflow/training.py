"""Steps on TensorFlow."""

import warnings

import keras
import numpy as np
import tensorflow as tf
from keras.src.losses.loss import unscale_loss_for_distribution

from zoo.backends.data import begin_later
from zoo.backends.steps import Steps
from zoo.backends.tensorflow.distribution import add_up, summed, total, worker_stopped
from zoo.backends.world import WORLD


class Trainer(Steps):
    """Keras' trainer, its steps made of `outputs_and_loss`.

    A compiled step that failed while it was traced is let go: TensorFlow would have it finish what
    it began, and refuse the variables of a second attempt.
    """

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred, loss = self.outputs_and_loss_in_training(x, y, sample_weight)
            self._track(loss, x, y, sample_weight)
            if WORLD.shards > 1:
                own = tf.cast(self.num_averaged(x, y, sample_weight), "float32")
                loss = loss * tf.math.divide_no_nan(own, total(own))
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        if weights:
            gradients = add_up(self.optimizer, tape.gradient(scaled, weights))
            with self.weighing(x, y, sample_weight):
                self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred, loss = self.outputs_and_loss(x, y, sample_weight, training=False)
        self._track(loss, x, y, sample_weight)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def metrics_in_world(self):
        own = super().metrics_in_world()
        return [np.asarray(value) for value in summed(own)] if WORLD.size > 1 else own

    def get_metrics_result(self):
        is_summed = WORLD.size == 1 and tf.distribute.in_cross_replica_context()
        if WORLD.shards == 1 or is_summed or not self.metrics_variables:
            return super().get_metrics_result()
        own = [tf.identity(variable.value) for variable in self.metrics_variables]
        for variable, value in zip(self.metrics_variables, summed(own), strict=True):
            variable.assign(value)
        result = super().get_metrics_result()
        for variable, value in zip(self.metrics_variables, own, strict=True):
            variable.assign(value)
        return result

    def num_in_world(self, x, y, sample_weight):
        return total(tf.cast(self.num_averaged(x, y, sample_weight), "float32"))

    def _compute_loss(self, *args, **kwargs):
        # Keras divides by the number of replicas, as if each had as many tokens.
        return unscale_loss_for_distribution(super()._compute_loss(*args, **kwargs))

    def _track(self, loss, x, y, sample_weight):
        self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # What JAX's and PyTorch's trainers call `_symbolic_build`.
        if WORLD.shards > WORLD.size and iterator is not None:  # Keras would take the mean of masks
            for _, _, batches in iterator:
                data_batch = tf.nest.map_structure(one_replica, next(batches))
                break
            self._symbolic_build(data_batch=data_batch)
        else:
            super()._maybe_symbolic_build(iterator, data_batch)
        if iterator is not None:
            begin_later(iterator)

    def make_train_function(self, force=False):
        before = self.train_function
        self._let_workers_meet()
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._until_failure("train_function")

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self._let_workers_meet()
            super().make_test_function(force)
            self.test_function = self._until_failure("test_function")

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._until_failure("predict_function")

    def _let_workers_meet(self):
        if WORLD.size > 1:
            self.jit_compile = False  # XLA does not know what the workers add up

    def _until_failure(self, name):
        function = getattr(self, name)

        def call(data):
            try:
                return function(data)
            except (StopIteration, tf.errors.OutOfRangeError):  # the end of the data
                raise
            except BaseException as error:
                setattr(self, name, None)
                if WORLD.size > 1 and isinstance(error, tf.errors.OpError):
                    raise RuntimeError(worker_stopped(error)) from error
                raise

        return call


def one_replica(value):
    """The part of a distributed value that the first device has."""
    return tf.distribute.get_strategy().experimental_local_results(value)[0]
