"""`zoo evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.running import AsJson, Config, Model, command, load_model, show


def add_to(app):
    """Make this command one of an app."""
    command(app, "evaluate", "zoo evaluate runs/tickets --data test.csv")(evaluate)


def evaluate(
    model: Model,
    data: Annotated[Path, typer.Option(help="A table, a .conll, a .json, or token files.")],
    text: Annotated[list[str] | None, typer.Option(help="The column of texts.")] = None,
    label: Annotated[str | None, typer.Option(help="The column of labels.")] = None,
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.")] = 32,
    as_json: AsJson = False,
    config: Config = None,
):
    """Measure a model on data; a run knows the columns that it was trained on."""
    from zoo.data import MixedRows
    from zoo.training.finetuning import plain, read_examples
    from zoo.training.runs import SETTINGS, read_settings
    from zoo.training.tokenizing import open_token_files

    task = load_model(model)
    run = Path(model) / SETTINGS
    before = {}
    if run.is_file():
        import yaml

        before = read_settings(run, yaml.safe_load(run.read_text("utf-8")))
    if data.is_dir() or data.suffix == ".bin":
        files = open_token_files(data, "valid") or open_token_files(data)
        x, y = MixedRows(files, task.row_length, batch_size), None
    else:
        columns = text or before.get("text") or ["text"]
        x, y = read_examples(data, task.task_name, columns, label or before.get("label"))
        y = None if y is None else [one if isinstance(one, list) else plain(one) for one in y]
    found = task.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)
    show({name: float(value) for name, value in found.items()}, as_json)
