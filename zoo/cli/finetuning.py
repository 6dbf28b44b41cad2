"""`zoo finetune`: any task, from a table or a file of its field."""

from pathlib import Path
from typing import Annotated

import typer

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
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 1e-4,
    schedule: Annotated[str, typer.Option(help="cosine, wsd, inverse_sqrt, constant.")] = "cosine",
    weight_decay: Annotated[float, typer.Option(help="Not of norms and biases.")] = 0.01,
    clip: Annotated[float, typer.Option(help="The most norm of gradients; 0 for any.")] = 1.0,
    accumulate: Annotated[int, typer.Option(help="Batches of an update.")] = 1,
    ema: Annotated[float | None, typer.Option(help="Momentum of averaged weights.")] = None,
    freeze: Annotated[str | None, typer.Option(help="backbone, or all but n blocks.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, mixed_bfloat16, ...")] = None,
    untrained: Annotated[bool, typer.Option(help="Start from random weights.")] = False,
    patience: Annotated[int | None, typer.Option(help="Epochs without progress.")] = None,
    checkpoint_minutes: Annotated[float, typer.Option(help="Between two states.")] = 10.0,
    keep: Annotated[int, typer.Option(help="States on disk.")] = 2,
    tensorboard: Annotated[bool, typer.Option(help="Write logs for TensorBoard.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: Config = None,
):
    """Fine-tune a model on examples of a task; run again, it goes on where it stopped.

    Tables give texts and labels, .conll files tagged words, .json files questions as SQuAD has
    them. The run's folder gets run.yaml, log.csv, states/ and model/.
    """
    import keras

    from zoo.training import distribute, finetuning, runs

    settings = settings_of(context)
    distribute()
    keras.utils.set_random_seed(seed)
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
    runs.keep_settings(out, settings)
    result = finetuning.finetune(made, x, y, out, settings, 0 if as_json else "auto")
    show({**result, "out": str(out)}, as_json)
