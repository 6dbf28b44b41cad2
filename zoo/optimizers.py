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


def for_fine_tuning(hidden_dim):
    """Usual for a trained encoder with a new head: AdamW with a short rise of its rate.

    The rate is that of Devlin et al., 2019, for a width of 768, and up to that of the small models
    of Turc et al., 2019, https://arxiv.org/abs/1908.08962, for less. Without the rise a small model
    may stay at the majority class.
    """
    rate = min(max(5e-5 * (768 / hidden_dim) ** 1.5, 5e-5), 3e-4)
    optimizer = LayerwiseAdamW(rate, warmup_steps=20, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def layerwise_adamw(model, learning_rate, decay=0.9, warmup_steps=0, weight_decay=0.01, **options):
    """AdamW for fine-tuning: a block's rate is `decay` times that of the block above it.

    Howard and Ruder, 2018, section 3.2, https://arxiv.org/abs/1801.06146. The head has the whole
    rate, the last block `decay` times that, and the embeddings the lowest. Any task's `compile`
    takes it, on each backend.

    Args:
        model: a task over a stack of blocks.
        learning_rate: float, or a schedule of Keras'.
        decay: float above 0 and at most 1.
        warmup_steps, weight_decay, options: those of `LayerwiseAdamW`.

    Raises:
        ValueError: a `decay` out of its range, or a model without such a stack.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be above 0 and at most 1; got {decay!r}.")
    factors = layer_factors(model.backbone, decay)
    optimizer = LayerwiseAdamW(
        learning_rate,
        factors=factors,
        warmup_steps=warmup_steps,
        weight_decay=weight_decay,
        **{"global_clipnorm": 1.0, **options},
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def layer_factors(backbone, decay):
    """`{name: factor}` of the layers of a backbone, by which `layerwise_adamw` goes."""
    blocks = getattr(backbone, "blocks", None)
    if not blocks:
        raise ValueError(
            f"Rates by layer need a stack of blocks; a {type(backbone).__name__} has none. Use "
            "keras.optimizers.AdamW."
        )
    depth = len(blocks)
    factors = {block.name: decay ** (depth - i) for i, block in enumerate(blocks)}
    names = {variable.path.partition("/")[0] for variable in backbone.weights}
    below = {name: decay ** (depth + 1) for name in sorted(names) if "embedding" in name}
    return below | factors


@keras.saving.register_keras_serializable("zoo")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a rate for each layer, which rises linearly at first.

    The rise keeps a model with norms behind its sublayers from being thrown off by its first steps
    (Devlin et al., 2019, https://arxiv.org/abs/1810.04805, warm up too). Unlike a schedule it
    leaves `learning_rate` to be set, by `keras.callbacks.ReduceLROnPlateau` for one.

    Args:
        learning_rate: float, or a schedule of Keras'.
        factors: `{name of a top layer: float}`, what its rate is multiplied by, weight decay
            included; layers that are not named have 1.
        warmup_steps: int, steps of the rise; 0 for none.
        weight_decay, kwargs: those of `keras.optimizers.AdamW`.
    """

    def __init__(
        self, learning_rate=0.001, factors=None, warmup_steps=0, weight_decay=0.004, **kwargs
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must be at least 0; got {warmup_steps!r}.")
        self.factors = dict(factors or {})
        self.warmup_steps = warmup_steps

    def build(self, variables):
        super().build(variables)
        tops = [variable.path.partition("/")[0] for variable in variables]
        self.rate_factors = [self.factors.get(top, 1.0) for top in tops]
        self._are_decayed = [self._use_weight_decay(variable) for variable in variables]

    def _get_current_learning_rate(self):
        rate = super()._get_current_learning_rate()
        if not self.warmup_steps:
            return rate
        progress = (ops.cast(self._iterations, "float32") + 1) / self.warmup_steps
        return rate * ops.minimum(progress, 1.0)

    def _apply_weight_decay(self, variables):
        """Nothing: `update_step` does it, at each weight's own rate."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype) * self.rate_factors[index]
        if self.weight_decay and self._are_decayed[index]:
            self.assign_sub(variable, variable * (rate * self.weight_decay))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        config = {"factors": self.factors, "warmup_steps": self.warmup_steps}
        return {**super().get_config(), **config}


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
