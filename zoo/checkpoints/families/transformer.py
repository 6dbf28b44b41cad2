"""Our `Transformer` as a Pegasus or a Marian of transformers: written so, and read as a `Marian`.

Ours has sines and cosines in turn, theirs has all sines first: the features of the residual stream
are put in that order wherever it is read or written, which changes no number that comes out.
"""

import dataclasses

import numpy as np

from zoo.checkpoints.families.bart import BART, BIAS, BODY, MARIAN, PEGASUS
from zoo.checkpoints.tables import Joined, Key, rules

NOT_OURS = ("num_decoder_layers", "activation", "scaled")
LAST = ("/output/kernel", "/outer/kernel", "/embeddings")  # whose outputs are the stream's
FIRST = ("/kernel", "/output/bias", "/outer/bias", "/gamma", "/beta")


class Reordered(Joined):
    """A row whose features come as sines, then cosines."""

    def __init__(self, row, axis):
        super().__init__(row.names, row.shares)
        self.row = row
        self.axis = axis

    def their_shapes(self, shape, arguments):
        return self.row.their_shapes(shape, arguments)

    def to_theirs(self, array, arguments):
        features = np.arange(array.shape[self.axis])
        order = np.concatenate([features[::2], features[1::2]])
        return self.row.to_theirs(np.take(array, order, axis=self.axis), arguments)


class SmallEpsilon(Key):
    """Theirs is 1e-5, beside which a smaller one changes logits by about a hundred thousandth."""

    def to_theirs(self, value):
        if value > 1e-5:
            raise ValueError(f"it must be at most 1e-5; got {value}")
        return {}


def reordered(table):
    """A table whose rows put the features of the residual stream in their order."""
    axes = {**dict.fromkeys(FIRST, 0), **dict.fromkeys(LAST, -1)}
    found = {}
    for target, row in rules(table).items():
        ends = [end for end in axes if target.endswith(end)]
        found[target] = Reordered(row, axes[max(ends, key=len)]) if ends else row
    return found


def written_as(family, pre_norm):
    """How a `Transformer` is written as one of theirs."""
    return dataclasses.replace(
        family,
        family="transformer",
        arguments={
            **{name: key for name, key in BART.arguments.items() if name not in NOT_OURS},
            "num_layers": Key("encoder_layers", copies=("decoder_layers", "num_hidden_layers")),
            "norm_epsilon": SmallEpsilon("", is_read=False),
        },
        constants={"position": "sinusoidal", "pre_norm": pre_norm, "tied": True},
        fixed={**family.fixed, "activation_function": "relu", "scale_embedding": True},
        body=reordered(BODY),
        heads={},
        given={**family.given, BIAS: BART.given[BIAS]},
    )


TRANSFORMERS = (written_as(PEGASUS, pre_norm=True), written_as(MARIAN, pre_norm=False))
