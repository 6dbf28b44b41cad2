"""Muon with its costly inner products in bfloat16."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("zoo")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` that makes its updates orthogonal in bfloat16.

    The Newton-Schulz iteration needs no more precision, says the work it comes from (Jordan et
    al., 2024, https://kellerjordan.github.io/posts/muon/). Where the processor multiplies in
    bfloat16 it takes half the time, which in a small model is a fifth of a training step.
    Arguments are those of `keras.optimizers.Muon`.
    """

    def zeropower_via_newtonschulz5(self, x, steps):
        orthogonal = super().zeropower_via_newtonschulz5(ops.cast(x, "bfloat16"), steps)
        return ops.cast(orthogonal, x.dtype)
