"""This library with weights of 4 bits."""

from benchmarks.libraries.seq2seq import zoo as floats


class Model(floats.Model):
    """Quantised."""

    logits = None  # those of the floats are not exactly its own


def build(sizes):
    made = floats.build(sizes)
    made.model.quantize("int4")
    quantized = Model(made.model)
    quantized.num_parameters = made.num_parameters  # two are in each byte now
    return quantized
