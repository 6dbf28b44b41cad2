"""`zoo export`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.running import Config, DryRun, Model, command, load_model, show


def add_to(app):
    """Make this command one of an app."""
    command(app, "export", "zoo export runs/tickets --format saved_model --out served")(export)


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    format: Annotated[str, typer.Option(help="saved_model.")] = "saved_model",
    dry_run: DryRun = False,
    config: Config = None,
):
    """Write a model for serving: text in, text out."""
    from zoo.exporting import checks
    from zoo.exporting import export as write

    checks.check_format(format)
    task = load_model(model)
    if not dry_run:
        write(task, out, format=format)
    show({"task": task.task_name, "format": format, "out": str(out)}, False)
