"""Learning-rate schedules that Keras does not have."""

import keras
from keras import ops

from zoo.optimizers import InverseSquareRoot

__all__ = ["InverseSquareRoot", "WarmupStableDecay"]


@keras.saving.register_keras_serializable("zoo")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rise linearly, stay, fall linearly to zero.

    Hu et al., 2024 (MiniCPM), section 4, https://arxiv.org/abs/2404.06395. Unlike a cosine, the
    length of the run may be decided while it is running: only the fall depends on it.

    Args:
        peak: float, the learning rate in the middle.
        warmup_steps: int, steps of the rise.
        decay_steps: int, steps of the fall.
        total_steps: int, steps of the whole run.
    """

    def __init__(self, peak, warmup_steps, decay_steps, total_steps):
        if warmup_steps + decay_steps > total_steps:
            raise ValueError(
                "The rise and the fall must fit into the run: warmup_steps + decay_steps is "
                f"{warmup_steps + decay_steps}, total_steps is {total_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.total_steps = total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = (step + 1) / max(self.warmup_steps, 1)
        fall = (self.total_steps - step) / max(self.decay_steps, 1)
        return self.peak * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay_steps": self.decay_steps,
            "total_steps": self.total_steps,
        }
