"""Steps on PyTorch."""

import contextlib
import warnings

import keras
import torch

from zoo.backends.steps import Steps
from zoo.backends.torch.adam import speed_up_optimizer
from zoo.backends.torch.distribution import add_up, total
from zoo.backends.torch.sharding import prepare_optimizer, shards_of
from zoo.backends.world import WORLD


class Trainer(Steps):
    """Keras' trainer, its steps made of `outputs_and_loss`."""

    def speed_up(self, optimizer):
        speed_up_optimizer(getattr(optimizer, "inner_optimizer", optimizer))

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.zero_grad()
        with self._gathering() as compute:
            y_pred, loss = compute(self.outputs_and_loss_in_training, x, y, sample_weight)
            self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))
            weights = self.trainable_weights
            if weights:
                if WORLD.size > 1:
                    loss = loss * self._share_of_batch(x, y, sample_weight)
                self.optimizer.scale_loss(loss).backward()
        if weights:
            gradients = self._gradients_in_world(weights)
            weighing = self.weighing(x, y, sample_weight)
            with torch.no_grad(), self.weights_lock, weighing:
                self.optimizer.apply(gradients, self.optimized_variables)
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with self._gathering() as compute:
            y_pred, loss = compute(self.outputs_and_loss, x, y, sample_weight, training=False)
        self._loss_tracker.update_state(loss, self.num_averaged(x, y, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    @contextlib.contextmanager
    def _gathering(self):
        """What calls a function of a step; within, parts of weights are gathered where needed."""
        shards = shards_of(self)
        if shards is None:
            yield called
            return
        with shards.step():
            yield shards.root

    def _gradients_in_world(self, weights):
        """Gradients of the whole batch, or this process's parts of them."""
        shards = shards_of(self)
        if shards is not None:
            return shards.gradients_of(weights)
        gradients = [weight.value.grad for weight in weights]
        if WORLD.size > 1:
            add_up([gradient for gradient in gradients if gradient is not None])
        return gradients

    @property
    def optimized_variables(self):
        shards = shards_of(self)
        if shards is None:
            return self.trainable_variables
        return [shards.part_of(weight) for weight in self.trainable_variables]

    def _prepare_optimizer(self, optimizer):
        super()._prepare_optimizer(optimizer)
        if shards_of(self) is not None and optimizer is not None:
            prepare_optimizer(optimizer)

    def _share_of_batch(self, x, y, sample_weight):
        """How much of what the loss of the whole batch is a mean over is in this process."""
        own = torch.as_tensor(self.num_averaged(x, y, sample_weight), dtype=torch.float32)
        if shards_of(self) is not None:  # which takes the mean of gradients, not the sum
            own = own * WORLD.size
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


def called(function, *args, **kwargs):
    return function(*args, **kwargs)
