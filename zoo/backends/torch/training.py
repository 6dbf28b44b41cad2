"""Steps on PyTorch."""

import warnings

import keras
import torch

from zoo.backends.steps import Steps
from zoo.backends.torch.adam import speed_up_optimizer
from zoo.backends.torch.distribution import add_up, total
from zoo.backends.world import WORLD


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
            if WORLD.size > 1:
                loss = loss * self._share_of_batch(x, y, sample_weight)
            self.optimizer.scale_loss(loss).backward()
            if WORLD.size > 1:
                add_up([weight.value.grad for weight in weights if weight.value.grad is not None])
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

    def _share_of_batch(self, x, y, sample_weight):
        """How much of what the loss of the whole batch is a mean over is in this process."""
        own = torch.as_tensor(self.num_averaged(x, y, sample_weight), dtype=torch.float32)
        return own / self.num_in_world(x, y, sample_weight).clamp(min=1e-9)

    def num_in_world(self, x, y, sample_weight):
        own = torch.as_tensor(self.num_averaged(x, y, sample_weight), dtype=torch.float32)
        return total(own.clone().reshape(1))[0]

    def metrics_in_world(self):
        values = [variable.value for variable in self.metrics_variables]
        if WORLD.size == 1 or not values:
            return [value.numpy(force=True) for value in values]
        sums = total(torch.cat([value.float().reshape(-1) for value in values]))
        parts = zip(sums.split([value.numel() for value in values]), values, strict=True)
        return [part.reshape(value.shape).numpy(force=True) for part, value in parts]

    def get_metrics_result(self):
        if WORLD.size == 1 or not self.metrics_variables:
            return super().get_metrics_result()
        own = [variable.value.clone() for variable in self.metrics_variables]
        for variable, value in zip(self.metrics_variables, self.metrics_in_world(), strict=True):
            variable.assign(value)
        try:
            return super().get_metrics_result()
        finally:
            for variable, value in zip(self.metrics_variables, own, strict=True):
                variable.assign(value)
