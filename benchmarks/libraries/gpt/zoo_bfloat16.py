"""This library with weights of bfloat16, which sums of products are not: those are float32."""

import keras

from benchmarks.libraries.gpt import zoo as floats


class Model(floats.Model):
    """Rounded."""

    logits = None  # those of the floats are not exactly its own


def build(sizes):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        return Model(floats.build(sizes).model)
    finally:
        keras.config.set_dtype_policy(before)
