"""This library with weights of 4 bits."""

from benchmarks.libraries.gpt import zoo as floats


class Model(floats.Model):
    """Quantised."""

    logits = None  # those of the floats are not exactly its own


def build(sizes):
    model = floats.build(sizes).model
    model.quantize("int4")
    return Model(model)
