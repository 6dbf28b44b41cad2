"""Steps on TensorFlow."""

import warnings

import keras
import tensorflow as tf
from keras.src.losses.loss import unscale_loss_for_distribution

from zoo.backends.data import begin_later
from zoo.backends.steps import Steps


class Trainer(Steps):
    """Keras' trainer, its steps made of `outputs_and_loss`.

    A compiled step that failed while it was traced is let go: TensorFlow would have it finish what
    it began, and refuse the variables of a second attempt.
    """

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred, loss = self.outputs_and_loss(x, y, sample_weight, training=True)
            self._track(loss, x, y, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        if weights:
            gradients = tape.gradient(scaled, weights)
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

    def _track(self, loss, x, y, sample_weight):
        loss = unscale_loss_for_distribution(loss)
        self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # What JAX's and PyTorch's trainers call `_symbolic_build`.
        super()._maybe_symbolic_build(iterator, data_batch)
        if iterator is not None:
            begin_later(iterator)

    def make_train_function(self, force=False):
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = self._until_failure("train_function")

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._until_failure("test_function")

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._until_failure("predict_function")

    def _until_failure(self, name):
        function = getattr(self, name)

        def call(data):
            try:
                return function(data)
            except (StopIteration, tf.errors.OutOfRangeError):  # the end of the data
                raise
            except BaseException:
                setattr(self, name, None)
                raise

        return call
