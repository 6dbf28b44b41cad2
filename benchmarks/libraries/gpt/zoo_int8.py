"""This library with weights of 8 bits."""

from benchmarks.libraries.gpt import zoo as floats


class Model(floats.Model):
    """Quantised."""

    logits = None  # those of the floats are not exactly its own


def build(sizes):
    model = floats.build(sizes).model
    model.quantize("int8")
    return Model(model)
