"""The rows of a table of names that a model has the variables of."""

import math

import keras
import numpy as np

from zoo import weights as weight_files
from zoo.backends import backend
from zoo.checkpoints.tables import match, numbered, rules


class Row:
    """A row of a table, for one variable of a model: the tensors that make it up.

    Attributes:
        names: of their tensors.
        is_inner: whether these are in their model without a head.
    """

    def __init__(self, variable, joined, i, arguments, is_inner):
        self.variable = variable
        self.joined = joined
        self.arguments = arguments
        self.is_inner = is_inner
        self.names = tuple(numbered(name, i) for name in joined.names)

    @property
    def size(self):
        return math.prod(self.variable.shape)

    def shapes(self):
        return [
            tuple(shape)
            for shape in self.joined.their_shapes(tuple(self.variable.shape), self.arguments)
        ]

    def assign(self, reader):
        dtype = keras.backend.standardize_dtype(self.variable.dtype)
        arrays = [reader.read_as(name, dtype) for name in self.names]
        array = np.ascontiguousarray(self.joined.to_ours(arrays, self.arguments))
        self.variable.assign(backend.from_numpy(array))

    def parts(self, array):
        """Their arrays of ours."""
        return self.joined.to_theirs(array, self.arguments)


def matched(model, family, task, complaint, may_lack=()):
    """`{our variable: Row}` of a model; raises ValueError for one without that must have one."""
    table = rules(family.table(task))
    arguments = all_arguments(model.backbone)
    rows = {}
    for name, variable in weight_files.named_weights(model).items():
        for pattern, joined in table.items():
            i = match(pattern, name)
            if i is not None:
                is_inner = family.is_inner(pattern, task)
                rows[name] = Row(variable, joined, i, arguments, is_inner)
                break
        if name not in rows and name not in may_lack:
            raise ValueError(
                f"{complaint} {name!r}, a weight of this model: a {family.name} model has none. "
                "Take the model that zoo.load makes, without additions."
            )
    return rows


USUAL = {  # what None stands for
    "mlp_dim": lambda arguments: 4 * arguments["hidden_dim"],
    "head_dim": lambda arguments: arguments["hidden_dim"] // arguments["num_heads"],
    "num_kv_heads": lambda arguments: arguments["num_heads"],
    "num_decoder_layers": lambda arguments: arguments["num_layers"],
}


def all_arguments(backbone):
    """The arguments of a backbone's constructor, with the sizes that None stands for."""
    arguments = backbone.get_config()
    for name, usual in USUAL.items():
        if name in arguments and arguments[name] is None:
            arguments[name] = usual(arguments)
    return arguments
