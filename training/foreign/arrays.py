"""Fill a task from arrays in memory, by a table of names; see `zoo.checkpoints.tables`."""

from zoo.checkpoints import engine
from zoo.checkpoints.tables import Family
from zoo.tensors.base import InMemory


def fill(model, arrays, table, source):
    """Fill all of a task; nothing of it may be missing, and no array left over.

    Args:
        model: a task.
        arrays: `{their name: array}`.
        table: `{our variable: a name of theirs, a tuple of them, or tables.Joined}`.
        source: what to call the file they came from in errors.

    Raises:
        ValueError: names, shapes or dtypes that are not those of the table; the model is
            unchanged. NaN or infinite weights: the model is then partly filled.
    """
    family = Family(
        name=source,
        family=type(model.backbone).family,
        prefix="",
        arguments={},
        architectures={},
        bare="",
        body=table,
    )
    engine.fill(model, InMemory(arrays, source), family, type(model).task_name, "all", source)
