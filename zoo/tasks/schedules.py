"""The learning-rate schedule that the 2017 Transformer is trained with."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zoo")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rise linearly, then fall with the inverse square root of the step.

    Vaswani et al., 2017, section 5.3, https://arxiv.org/abs/1706.03762: there the peak is
    `(hidden_dim * warmup_steps) ** -0.5`.

    Args:
        peak: float, the learning rate at the end of the rise.
        warmup_steps: int, at least 1, steps of the rise.

    Raises:
        ValueError: if `warmup_steps` is below 1.
    """

    def __init__(self, peak, warmup_steps=4000):
        if warmup_steps < 1:
            raise ValueError(f"warmup_steps must be at least 1; got {warmup_steps!r}.")
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        progress = (ops.cast(step, "float32") + 1) / self.warmup_steps
        return self.peak * ops.minimum(progress, ops.rsqrt(progress))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}
