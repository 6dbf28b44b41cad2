"""`zoo train`: a causal language model from token files."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.running import AsJson, Config, DryRun, Model, command, console, settings_of, show


def add_to(app):
    """Make this command one of an app."""
    example = "zoo train gpt-small --data data/ --steps 2000 --out runs/a"
    command(app, "train", example)(train)


def train(
    context: typer.Context,
    model: Model,
    data: Annotated[list[Path], typer.Option(help="Folders of zoo data tokenize; several mix.")],
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    steps: Annotated[int, typer.Option(help="Batches to train on, in all.")],
    weights: Annotated[bool, typer.Option(help="Start from the preset's weights.")] = False,
    mix: Annotated[list[float] | None, typer.Option(help="The share of each --data.")] = None,
    batch_size: Annotated[int, typer.Option(help="Rows of a batch.")] = 16,
    length: Annotated[int | None, typer.Option(help="Tokens of a row; the model's most.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 1e-3,
    schedule: Annotated[str, typer.Option(help="cosine, wsd, inverse_sqrt, constant.")] = "cosine",
    warmup_steps: Annotated[int | None, typer.Option(help="Batches of the rise.")] = None,
    decay_steps: Annotated[int | None, typer.Option(help="Batches of the fall of wsd.")] = None,
    weight_decay: Annotated[float, typer.Option(help="Not of norms and biases.")] = 0.1,
    clip: Annotated[float, typer.Option(help="The most norm of gradients; 0 for any.")] = 1.0,
    accumulate: Annotated[int, typer.Option(help="Batches of an update.")] = 1,
    ema: Annotated[float | None, typer.Option(help="Momentum of averaged weights.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, mixed_bfloat16, ...")] = None,
    dropout: Annotated[float | None, typer.Option(help="In place of the preset's.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between losses.")] = None,
    validation_steps: Annotated[int, typer.Option(help="Batches of each validation.")] = 20,
    sample: Annotated[list[str] | None, typer.Option(help="Prompts to continue.")] = None,
    sample_every: Annotated[int, typer.Option(help="Validations between samples.")] = 1,
    patience: Annotated[int | None, typer.Option(help="Validations without progress.")] = None,
    checkpoint_minutes: Annotated[float, typer.Option(help="Between two states.")] = 10.0,
    keep: Annotated[int, typer.Option(help="States on disk.")] = 3,
    tensorboard: Annotated[bool, typer.Option(help="Write logs for TensorBoard.")] = False,
    seed: Annotated[int, typer.Option(help="Of weights and order.")] = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: Config = None,
):
    """Pretrain a causal language model on token files; run again, it goes on where it stopped.

    A plan is printed first. The run's folder gets run.yaml, log.csv, states/ and model/.
    """
    import keras

    from zoo.training import distribute, plans, pretraining, runs

    settings = settings_of(context)
    distribute()
    keras.utils.set_random_seed(seed)
    shape = {"dtype": dtype, "dropout": dropout, "sequence_length": length}
    task, tokenizer = pretraining.make_model(model, data, weights, shape)
    plan = plans.plan_of(task, steps, batch_size, task.row_length, accumulate)
    console().print("\n".join(plans.lines(plan)))
    if dry_run:
        show({"plan": plan, "out": str(out)}, as_json, "")
        return
    runs.keep_settings(out, settings)
    result = pretraining.pretrain(task, tokenizer, out, settings, 0 if as_json else "auto")
    show({**result, "out": str(out)}, as_json)
