"""Fill a task from arrays in memory, by a table of names; see `zoo.checkpoints.engine`."""

from zoo import weights as weight_files
from zoo.checkpoints import engine
from zoo.tensors.dtypes import is_finite


def fill(model, arrays, table, source):
    """Fill all of a task; nothing of it may be missing, and no array left over.

    Args:
        model: a task.
        arrays: `{their name: array}`.
        table: `{our variable: tables.Joined}`, as `tables.rules` writes it out.
        source: what to call the file they came from in errors.

    Raises:
        ValueError: names, shapes or dtypes that are not those of the table; the model is
            unchanged. NaN or infinite weights: the model is then partly filled.
    """
    variables = weight_files.named_weights(model)
    wanted = {name: table.get(name) for name in variables}
    engine.check_names(
        wanted, {name for one in table.values() for name in one.names}, arrays, source
    )
    for name, one in wanted.items():
        engine.check_tensors(one, variables[name], arrays, source)
    reader = Arrays(arrays, source)
    for name, one in wanted.items():
        engine.assign(variables[name], one, reader)


class Arrays:
    """What `zoo.checkpoints.engine.Reader` is for files."""

    def __init__(self, arrays, source):
        self.arrays = arrays
        self.source = source

    def read(self, name):
        if not is_finite(self.arrays[name]):
            raise ValueError(
                f"Weights must be finite, but {name!r} in {self.source} holds NaN or infinity: it "
                "is damaged, or training had diverged. Use another file."
            )
        return self.arrays[name]
