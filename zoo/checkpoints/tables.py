"""Tables of names: which tensors of a foreign checkpoint make up each of our variables.

A table maps our variables to their tensors, where `{i}` is the number of a block:

    "block_{i}/attention_norm/gamma": "encoder.layer.{i}.attention.output.LayerNorm.weight",
    "block_{i}/attention/qkv/bias": ("...query.bias", "...key.bias", "...value.bias"),

Several tensors lie one after the other on our last axis. What is neither is an object with the
attribute and the methods of `Joined`. A table has no direction: to write a foreign file takes an
inverse of `Joined.to_ours`, and nothing else of the tables.
"""

from typing import NamedTuple

import numpy as np


class Family(NamedTuple):
    """How transformers writes the models of one family.

    Names of tensors are without the prefix. Tables of heads may hold what a file lacks.

    Attributes:
        name: their `model_type`, and our family.
        prefix: what the backbone's tensors are called by where there is a head.
        arguments: `{argument of our backbone: key of their config}`.
        defaults: `{key of their config: value where it is silent}`.
        fixed: `{key of their config: the one value that our backbone follows}`.
        head_dropout: keys of their config; the first that is given counts.
        architectures: `{their class: the task it is saved for}`, the first without a head.
        backbone: the table of the backbone.
        heads: the table of the heads that are named alike for all tasks.
        heads_of: `{task: table}` of the heads that only files of that task have.
        refused_heads: `{task: (names, reason)}` of heads that ours cannot stand for.
        tied: `{tensor of the masked language model's head: the tensor it repeats}`.
        unused: tensors that say nothing.
        rows_before: rows of their table of positions before that of the first token.
    """

    name: str
    prefix: str
    arguments: dict
    defaults: dict
    fixed: dict
    head_dropout: tuple
    architectures: dict
    backbone: dict
    heads: dict
    heads_of: dict
    refused_heads: dict
    tied: dict
    unused: tuple
    rows_before: int = 0


class Joined:
    """Tensors that lie one after the other on our last axis.

    Attributes:
        names: a tuple of their names.
    """

    def __init__(self, names):
        self.names = names

    def their_shapes(self, shape):
        """The shapes of their tensors, of which ours is `shape`."""
        return [(*shape[:-1], shape[-1] // len(self.names))] * len(self.names)

    def to_ours(self, arrays):
        """Our array of theirs."""
        return np.concatenate(arrays, axis=-1) if len(arrays) > 1 else arrays[0]


class JoinedKernels(Joined):
    """As `Joined`, of kernels that are stored `(out, in)`; ours are `(in, out)`."""

    def their_shapes(self, shape):
        return [their[::-1] for their in super().their_shapes(shape)]

    def to_ours(self, arrays):
        return super().to_ours([array.T for array in arrays])


def rules(table, num_blocks):
    """A table written out for a number of blocks, `{our variable: Joined}`."""
    written_out = {}
    for target, source in table.items():
        for i in range(num_blocks) if "{i}" in target else [None]:
            written_out[target.format(i=i)] = rule(target, source, i)
    return written_out


def rule(target, source, i):
    if not isinstance(source, (str, tuple)):
        return source
    names = (source,) if isinstance(source, str) else source
    kind = JoinedKernels if target.endswith("/kernel") else Joined
    return kind(tuple(name.format(i=i) for name in names))
