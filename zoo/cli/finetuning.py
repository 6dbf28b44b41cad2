"""`zoo finetune`: any task, from a table or a file of its field."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import options
from zoo.cli.running import AsJson, Config, DryRun, Model, command, console, settings_of, show


def add_to(app):
    """Make this command one of an app."""
    example = (
        "zoo finetune bert-small --task text_classification --data tickets.csv --text body "
        "--label queue --out runs/tickets"
    )
    command(app, "finetune", example)(finetune)


def finetune(
    context: typer.Context,
    model: Model,
    data: Annotated[Path, typer.Option(help="A .csv, .tsv, .jsonl, .parquet, .conll, .json.")],
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    task: Annotated[str | None, typer.Option(help="Such as text_classification.")] = None,
    text: Annotated[list[str], typer.Option(help="The column of texts; two for pairs.")] = ["text"],  # noqa: B006
    label: Annotated[str | None, typer.Option(help="The column of labels or targets.")] = None,
    validation: Annotated[float, typer.Option(help="The share that is held out.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="How often all is read.")] = 3,
    batch_size: options.BatchSize = 32,
    learning_rate: options.LearningRate = 1e-4,
    schedule: options.Schedule = "cosine",
    weight_decay: options.WeightDecay = 0.01,
    clip: options.Clip = 1.0,
    accumulate: options.Accumulate = 1,
    ema: options.Ema = None,
    freeze: Annotated[str | None, typer.Option(help="backbone, or all but n blocks.")] = None,
    dtype: options.Dtype = None,
    recompute: options.Recompute = None,
    layout: options.Layout = None,
    untrained: Annotated[bool, typer.Option(help="Start from random weights.")] = False,
    patience: Annotated[int | None, typer.Option(help="Epochs without progress.")] = None,
    checkpoint_minutes: options.CheckpointMinutes = 10.0,
    keep: options.Keep = 2,
    tensorboard: options.TensorBoard = False,
    seed: options.Seed = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: Config = None,
):
    """Fine-tune a model on examples of a task; run again, it goes on where it stopped.

    Tables give texts and labels, .conll files tagged words, .json files questions as SQuAD has
    them. The run's folder gets run.yaml, log.csv, states/ and model/.
    """
    from zoo.training import finetuning, runs

    settings = settings_of(context)
    runs.begin(layout, seed)
    x, y = finetuning.read_examples(data, task, text, label)
    made = finetuning.make_model(model, task, y, settings)
    facts = {
        "task": made.task_name,
        "parameters": made.count_params(),
        "examples": len(x),
        "labels": list(made.labels or []),
    }
    console().print("\n".join(f"{name}  {value}" for name, value in facts.items()))
    if dry_run:
        show(facts, as_json, "")
        return
    result = finetuning.finetune(made, x, y, out, settings, 0 if as_json else "auto")
    show({**result, "out": str(out)}, as_json)
