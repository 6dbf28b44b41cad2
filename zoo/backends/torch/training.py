"""Steps on PyTorch."""

import warnings

import keras
import torch

from zoo.backends.steps import Steps
from zoo.backends.torch.adam import speed_up_optimizer


class Trainer(Steps):
    """Keras' trainer, its steps made of `outputs_and_loss`."""

    def speed_up(self, optimizer):
        speed_up_optimizer(getattr(optimizer, "inner_optimizer", optimizer))

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.zero_grad()
        y_pred, loss = self.outputs_and_loss(x, y, sample_weight, training=True)
        self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))
        weights = self.trainable_weights
        if weights:
            self.optimizer.scale_loss(loss).backward()
            weighing = self.weighing(x, y, sample_weight)
            with torch.no_grad(), self.weights_lock, weighing:
                self.optimizer.apply([weight.value.grad for weight in weights], weights)
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred, loss = self.outputs_and_loss(x, y, sample_weight, training=False)
        self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
