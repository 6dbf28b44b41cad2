"""Fill a task from a foreign file of weights, by a table of names; see `zoo.checkpoints.tables`."""

import keras
import numpy as np

from zoo import weights as weight_files
from zoo.backends import backend
from zoo.checkpoints.tables import rules
from zoo.shared_weights import head_names, head_of
from zoo.weights_file import WeightsFile

OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of norms, in the oldest files


def fill(model, path, family, task, heads):
    """Fill a task from a file of their weights.

    The backbone is always filled. A head that only the file has is left out. Names, shapes and
    dtypes are checked before anything changes; tensors are then read one at a time.

    Args:
        model: a task.
        path: their safetensors file.
        family: a `Family`.
        task: the name of the task that the file was saved for.
        heads: `"all"` if that is the task of `model`, `"shared"` to fill those that the file
            holds, or `"none"`.

    Returns:
        The names of our variables that keep their random weights, a set.

    Raises:
        ValueError: damaged, or of another model; the model is unchanged. NaN or infinite weights:
            the model is then partly filled.
    """
    variables = weight_files.named_weights(model)
    num_blocks = len(model.backbone.blocks)
    shared = rules({**family.backbone, **family.heads}, num_blocks)
    of_task = rules(family.heads_of.get(task, {}), num_blocks)
    table = {**shared, **of_task}
    known = {name for part in (shared, of_task) for one in part.values() for name in one.names}
    refused, _ = family.refused_heads.get(task, ((), None))
    known.update(family.unused, family.tied, refused)
    file = WeightsFile(path)
    reader = Reader(file, known_names(file.tensors, family, path))
    missing = set() if heads == "all" else missing_heads(model, table, reader.tensors, heads)
    wanted = {name: table.get(name) for name in variables if name not in missing}
    check_names(wanted, known, reader.tensors, path)
    for name, one in wanted.items():
        check_tensors(one, variables[name], reader.tensors, path)
    if any(name.startswith("masked_lm_") for name in wanted):
        check_ties(family.tied, reader)
    for name, one in wanted.items():
        assign(variables[name], one, reader)
    return missing


class Reader:
    """Their tensors by their names in the tables, read from a file one at a time."""

    def __init__(self, file, tensors):
        self.file = file
        self.path = file.path
        self.tensors = tensors

    def read(self, name):
        return self.file.read(self.tensors[name])


def known_names(stored, family, path):
    """`{name in the tables: tensor}` of the names in a file."""
    tensors = {}
    for stored_name, tensor in stored.items():
        name = stored_name.removeprefix(family.prefix)
        for old, new in OLD_NAMES.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if name in tensors:
            raise ValueError(
                f"{path} must hold each weight once, but has two names for {name[:80]!r}, of which "
                f"one is {stored_name[:80]!r}. Use another file."
            )
        tensors[name] = tensor
    for twin, name in family.tied.items():
        if twin in tensors and name not in tensors:  # which of the two is kept, the writer chooses
            tensors[name] = tensors.pop(twin)
    return tensors


def missing_heads(model, table, tensors, heads):
    """Our variables of the heads of which the file has nothing, or of all that are to be random."""
    there = {
        head_of(target)
        for target, one in table.items()
        if any(name in tensors for name in one.names)
    }
    of_heads = head_names(model)
    return {name for name in of_heads if heads == "none" or head_of(name) not in there}


def check_names(wanted, known, tensors, path):
    strays = [name for name, one in wanted.items() if one is None]
    if strays:
        raise ValueError(
            f"{path} has no place for {strays[0]!r}, a weight of this model. Convert it into the "
            "model that zoo.load makes of its config.json."
        )
    absent = [name for one in wanted.values() for name in one.names if name not in tensors]
    unknown = [name for name in tensors if name not in known]
    if absent or unknown:
        raise ValueError(
            f"{path} must hold exactly the weights that its config.json describes, but "
            f"{weight_files.differences(absent, unknown)}. Use the two files that were saved "
            "together, of a model without additions."
        )


def check_tensors(one, variable, tensors, path):
    dtype = keras.backend.standardize_dtype(variable.dtype)
    shapes = one.their_shapes(tuple(variable.shape))
    for name, shape in zip(one.names, shapes, strict=True):
        tensor, stored = tensors[name], str(tensors[name].dtype)
        if tensor.shape != shape:
            raise ValueError(
                f"{path}: {name!r} must have the shape {shape}, as the config.json describes it; "
                f"got {tensor.shape}. Use the two files that were saved together."
            )
        if not weight_files.holds(dtype, stored):
            halves = " (or float16 or bfloat16, which are widened)" if dtype == "float32" else ""
            raise ValueError(
                f"{path}: {name!r} must be {dtype}{halves}, as the model's weights are; got "
                f"{stored}. Load it with a dtype that has {stored} weights."
            )


def check_ties(tied, reader):
    """Refuse a head with a table of its own, where ours has the embeddings'."""
    for twin, name in tied.items():
        if twin in reader.tensors and not np.array_equal(reader.read(twin), reader.read(name)):
            raise ValueError(
                f"{reader.path}: {twin!r} must equal {name!r}, since the head of a zoo masked "
                "language model is tied to its embeddings; here the two differ. Load it for "
                "another task, such as task='embedding'."
            )


def assign(variable, one, reader):
    dtype = keras.backend.standardize_dtype(variable.dtype)
    arrays = [reader.read(name).astype(dtype, copy=False) for name in one.names]
    variable.assign(backend.from_numpy(np.ascontiguousarray(one.to_ours(arrays))))
