"""Runs a table of names both ways; see `zoo.checkpoints.tables`.

fill(model, tensors, family, ...)         their tensors into a task of ours
TheirTensors(model, family)               a task of ours as their tensors, to be written
"""

import keras
import numpy as np

from zoo import weights as weight_files
from zoo.checkpoints.rows import all_arguments, matched
from zoo.checkpoints.tables import match, rules
from zoo.progress import shown
from zoo.shared_weights import HEADS, head_names, head_of
from zoo.tasks import BertPretrainer, LanguageModel
from zoo.tensors import Tensors
from zoo.tensors.dtypes import is_finite, is_float

ROUNDED = 1e-2  # what bfloat16 makes of numbers up to 1
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of norms, in the oldest files


def fill(model, tensors, family, task, heads, source):
    """Fill a task from their tensors.

    The backbone is always filled. A head that only the file has is left out. Names, shapes and
    dtypes are checked before anything changes; tensors are then read one at a time, and rounded or
    widened to the model's dtype.

    Args:
        model: a task.
        tensors: a `Tensors`.
        family: a `Family`.
        task: the name of the task that the file was saved for.
        heads: `"all"` if that is the task of `model`, `"shared"` to fill those that the file
            holds, or `"none"`.
        source: what errors call the file.

    Returns:
        The names of our variables that keep their random weights, a set.

    Raises:
        ValueError: of another model; the model is unchanged. Damaged, NaN or infinite weights: the
            model is then partly filled.
    """
    may_lack = unread_head(model, family, task) | (set() if heads == "all" else head_names(model))
    rows = matched(model, family, task, f"{source} has no place for", may_lack)
    tied = {
        twin: name
        for twin, name in family.tied.items()
        if not any(twin in row.names for row in rows.values())
    }
    places = stored_names(tensors, family, tied, source)
    for twin, name in family.tied.items():  # a head of its own that was not parted from the table
        if heads == "all" and twin not in tied and twin not in places and name in places:
            places[twin] = places[name]
    reader = Reader(tensors, places, source)
    missing = set() if heads == "all" else missing_heads(model, rows, reader.places, heads)
    wanted = {name: row for name, row in rows.items() if name not in missing}
    check_names(wanted, known_elsewhere(family, task, tied), reader.places, source)
    for row in wanted.values():
        check_tensors(row, reader)
    if isinstance(model, (LanguageModel, BertPretrainer)):
        check_ties(tied, reader)
        check_given(family, reader, all_arguments(model.backbone))
    for row in shown(list(wanted.values()), "tensor"):
        row.assign(reader)
    return missing


class Reader:
    """Their tensors by their names in the tables, read one at a time."""

    def __init__(self, tensors, places, source):
        self.tensors = tensors
        self.places = places
        self.source = source

    def read(self, name):
        return weight_files.finite(self.tensors, self.places[name])

    def read_as(self, name, dtype):
        """A tensor, rounded or widened to a dtype."""
        array = self.read(name)
        if array.dtype == dtype:
            return array
        with np.errstate(over="ignore"):
            rounded = array.astype(dtype, copy=False)
        if not is_finite(rounded):
            raise ValueError(
                f"{self.source}: {name!r} holds values up to {np.abs(array).max():.3g}, which "
                f"{dtype} cannot hold. Load it with dtype='bfloat16' or 'float32'."
            )
        return rounded

    def shape(self, name):
        return tuple(self.tensors.shape(self.places[name]))

    def dtype(self, name):
        return str(self.tensors.dtype(self.places[name]))


def stored_names(tensors, family, tied, source):
    """`{name in the tables: name in the file}`."""
    places = {}
    for stored in tensors.names:
        name = stored.removeprefix(family.prefix)
        for old, new in OLD_NAMES.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        if name in places:
            raise ValueError(
                f"{source} must hold each weight once, but has two names for {name[:80]!r}, of "
                f"which one is {stored[:80]!r}. Use another file."
            )
        places[name] = stored
    for twin, name in tied.items():
        if twin in places and name not in places:  # which of the two is kept, the writer chooses
            places[name] = places.pop(twin)
    return places


def missing_heads(model, rows, places, heads):
    """Our variables of the heads of which the file has nothing, or of all that are to be random."""
    # The head of an untied language model is its backbone's, and none of their model without one.
    own = head_names(model) | {name for name, row in rows.items() if not row.is_inner}
    if isinstance(model, LanguageModel):
        own |= vocabulary_head(model)
    there = {head_of(name) for name in own & set(rows) if is_there(rows[name], places)}
    return {name for name in own if heads == "none" or head_of(name) not in there}


def vocabulary_head(model):
    """The names of the weights of a backbone's own head, a set."""
    head = model.backbone.head
    return set() if head is None else {variable.path for variable in head.weights}


def unread_head(model, family, task):
    """The same, where a file of this task has none: that of a classifier over a decoder."""
    return vocabulary_head(model) if "classifier/kernel" in family.table(task) else set()


def is_there(row, places):
    return any(name in places for name in row.names)


def known_elsewhere(family, task, tied):
    """Names of tensors, or their patterns, that a file may have and this model leaves out."""
    tables = family.body, family.heads, family.heads_of.get(task, {})
    joined = [one for table in tables for one in rules(table).values()]
    known = {name for one in joined for name in one.names if "{i}" not in name}
    refused, _ = family.refused_heads.get(task, ((), None))
    given = (name.removeprefix(family.prefix) for name in family.given)
    return known.union(family.unused, given, tied, refused)


def check_names(wanted, known, places, source):
    of_model = {name for row in wanted.values() for name in row.names}
    patterns = [pattern for pattern in known if "{i}" in pattern]
    absent = [name for name in of_model if name not in places]
    unknown = [
        name
        for name in places
        if name not in of_model
        and name not in known
        and not any(match(pattern, name) is not None for pattern in patterns)
    ]
    if absent or unknown:
        raise ValueError(
            f"{source} must hold exactly the weights that its config.json describes, but "
            f"{weight_files.differences(sorted(absent), unknown)}. Use the two files that were "
            "saved together, of a model without additions."
        )


def check_tensors(row, reader):
    dtype = keras.backend.standardize_dtype(row.variable.dtype)
    for name, shape in zip(row.names, row.shapes(), strict=True):
        if reader.shape(name) != shape:
            raise ValueError(
                f"{reader.source}: {name!r} must have the shape {shape}, as the config.json "
                f"describes it; got {reader.shape(name)}. Use the two files that were saved "
                "together."
            )
        stored = reader.dtype(name)
        if stored != dtype and not (is_float(stored) and is_float(dtype)):
            raise ValueError(
                f"{reader.source}: {name!r} must be {dtype} (or another floating-point dtype, "
                f"which is rounded or widened); got {stored}. Use a checkpoint that is not "
                "quantised."
            )


def check_ties(tied, reader):
    """Refuse a head with a table of its own, where ours has the embeddings'."""
    for twin, name in tied.items():
        if twin in reader.places and not np.array_equal(reader.read(twin), reader.read(name)):
            raise ValueError(
                f"{reader.source}: {twin!r} must equal {name!r}, since the two are one weight in "
                "this zoo model; here they differ. Load it for another task, such as "
                "task='embedding'."
            )


def check_given(family, reader, arguments):
    """Refuse numbers for which ours has no variable, if they are not what ours computes with."""
    for name, make in family.given.items():
        name = name.removeprefix(family.prefix)
        if name not in reader.places:
            continue
        array, expected = reader.read(name).astype("float32"), make(arguments)
        if array.shape != expected.shape or not np.allclose(array, expected, atol=ROUNDED):
            raise ValueError(
                f"{reader.source}: {name!r} must hold the numbers that every {family.name} model "
                "has there, since this zoo model has no such weight; it has others."
            )


class TheirTensors(Tensors):
    """A task as their tensors, made one at a time as they are asked for.

    Args:
        model: a task.
        family: a `Family`.
        dtype: `"float16"` or `"bfloat16"` to round floating-point weights to, or None.

    Raises:
        ValueError: a weight of ours that their model has no place for, or one of theirs that ours
            cannot fill.
    """

    def __init__(self, model, family, dtype=None):
        task = type(model).task_name
        self.stored_as = dtype
        may_lack = unread_head(model, family, task)
        self.rows = matched(
            model, family, task, f"A {family.name} folder has no place for", may_lack
        )
        check_complete(self.rows, model, family, task)
        is_bare = family.class_for(task) == family.bare
        prefix = "" if is_bare else family.prefix
        self.places = {}
        for ours, row in self.rows.items():
            for number, name in enumerate(row.names):
                self.places[prefix + name if row.is_inner else name] = ours, number
        arguments = all_arguments(model.backbone)
        has_given = isinstance(model, LanguageModel) and not is_bare
        self.given = {name: make(arguments) for name, make in family.given.items() if has_given}
        self.names = (*self.places, *self.given)
        self.last = None, None  # of a variable in several parts, which are asked for one by one

    def shape(self, name):
        if name in self.given:
            return self.given[name].shape
        ours, number = self.places[name]
        return self.rows[ours].shapes()[number]

    def dtype(self, name):
        if name in self.given:
            return np.dtype(self.stored_as or "float32")
        return weight_files.stored_dtype(self.rows[self.places[name][0]].variable, self.stored_as)

    def read(self, name):
        if name in self.given:
            return self.given[name].astype(self.dtype(name))
        ours, number = self.places[name]
        if self.last[0] != ours:
            row = self.rows[ours]
            array = weight_files.stored_array(ours, row.variable, self.stored_as)
            self.last = ours, row.parts(array)
        return self.last[1][number]

    def close(self):
        self.last = None, None


def check_complete(rows, model, family, task):
    """Refuse to write a folder without weights that their model has."""
    for pattern in family.table(task):
        is_needed = head_of(pattern) in type(model).heads or head_of(pattern) not in HEADS
        if not is_needed or pattern in family.optional:
            continue
        if not any(match(pattern, name) is not None for name in rows):
            raise ValueError(
                f"A {family.name} model must have the weights {pattern!r}, and this "
                f"{type(model.backbone).__name__} has none. zoo.save(model, folder) writes it as a "
                "preset."
            )
