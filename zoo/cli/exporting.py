"""`zoo export` and `zoo convert`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.running import Config, DryRun, Model, command, load_model, show


def add_to(app):
    """Make these commands of an app."""
    command(app, "export", "zoo export runs/tickets --format saved_model --out served")(export)
    example = "zoo convert hf://openai-community/gpt2 --format transformers --out gpt2"
    command(app, "convert", example)(convert)


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


def convert(
    model: Model,
    out: Annotated[Path, typer.Option(help="The folder or the file to write.")],
    format: Annotated[str, typer.Option(help="zoo, transformers, keras_hub, gguf.")] = "zoo",
    weights_dtype: Annotated[str | None, typer.Option(help="float16, bfloat16, q8_0.")] = None,
    dry_run: DryRun = False,
    config: Config = None,
):
    """Turn a model's files into those that another library reads."""
    from zoo.saving import save

    task = load_model(model)
    if not dry_run:
        save(task, out, weights_dtype=weights_dtype, format=format)
    show({"task": task.task_name, "format": format, "out": str(out)}, False)
