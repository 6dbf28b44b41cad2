"""The optimizers that tasks come compiled with, each declared once, and the schedule of one.

No weight decay pulls at biases, nor at the gains and shifts of norms: shrinking them is no
simplification (Devlin et al., 2019, https://arxiv.org/abs/1810.04805, do without).
"""

import keras
from keras import ops

# Patterns of names; the gain of an RMS norm is its scale.
NOT_DECAYED = ("bias", "beta", "gamma", "^scale$")
WARMUP_STEPS = 4000


def adamw(learning_rate, weight_decay):
    """AdamW, clipping gradients to a norm of 1."""
    optimizer = keras.optimizers.AdamW(
        learning_rate, weight_decay=weight_decay, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def for_fine_tuning():
    """Usual for a trained encoder with a new head."""
    return adamw(5e-5, weight_decay=0.01)


def for_pretraining(weight_decay=0.1):
    """Usual for small language models."""
    return adamw(3e-4, weight_decay)


def for_transformer(hidden_dim):
    """Adam as Vaswani et al., 2017, section 5.3, have it, https://arxiv.org/abs/1706.03762."""
    peak = (hidden_dim * WARMUP_STEPS) ** -0.5
    schedule = InverseSquareRoot(peak, WARMUP_STEPS)
    return keras.optimizers.Adam(schedule, beta_2=0.98, epsilon=1e-9)


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
