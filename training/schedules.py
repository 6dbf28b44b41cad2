"""Learning-rate schedules that Keras does not have."""

import keras
from keras import ops

from zoo.optimizers import InverseSquareRoot

__all__ = ["InverseSquareRoot", "WarmupStableDecay", "schedule_by_name"]


def schedule_by_name(name, peak, total_steps, warmup_steps=None, decay_steps=None):
    """A learning-rate schedule of a run of so many batches.

    Args:
        name: `"cosine"`: a rise, then half a cosine down to zero; `"wsd"`: `WarmupStableDecay`;
            `"inverse_sqrt"`: `InverseSquareRoot`; `"constant"`: the peak alone.
        peak: float.
        total_steps: int.
        warmup_steps: int; None for a twentieth of the run.
        decay_steps: int, of `"wsd"` alone; None for a fifth of the run.

    Raises:
        ValueError: there is no such schedule, or a length that it has not.
    """
    if name not in SCHEDULES:
        raise ValueError(f"A schedule is one of {', '.join(SCHEDULES)}; got {name!r}.")
    if decay_steps is not None and name != "wsd":
        raise ValueError(f"Only the schedule wsd has decay_steps; got {decay_steps} with {name}.")
    if name == "constant":
        if warmup_steps:
            raise ValueError(f"A constant rate has no warmup_steps; got {warmup_steps}.")
        return peak
    warmup = max(1, total_steps // 20) if warmup_steps is None else warmup_steps
    if warmup >= total_steps:
        raise ValueError(f"The rise must be shorter than the run of {total_steps}; got {warmup}.")
    if name == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            peak / max(warmup, 1), total_steps - warmup, warmup_target=peak, warmup_steps=warmup
        )
    if name == "inverse_sqrt":
        return InverseSquareRoot(peak, max(warmup, 1))
    decay = max(1, total_steps // 5) if decay_steps is None else decay_steps
    return WarmupStableDecay(peak, warmup, decay, total_steps)


SCHEDULES = ("cosine", "wsd", "inverse_sqrt", "constant")


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
