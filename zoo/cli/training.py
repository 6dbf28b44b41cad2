"""`zoo train`: a language model from token files."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli import options
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
    task: Annotated[str, typer.Option(help="causal_lm or masked_lm.")] = "causal_lm",
    weights: Annotated[bool, typer.Option(help="Start from the preset's weights.")] = False,
    mix: Annotated[list[float] | None, typer.Option(help="The share of each --data.")] = None,
    batch_size: options.BatchSize = 16,
    length: Annotated[int | None, typer.Option(help="Tokens of a row; the model's most.")] = None,
    learning_rate: options.LearningRate = 1e-3,
    schedule: options.Schedule = "cosine",
    warmup_steps: Annotated[int | None, typer.Option(help="Batches of the rise.")] = None,
    decay_steps: Annotated[int | None, typer.Option(help="Batches of the fall of wsd.")] = None,
    weight_decay: options.WeightDecay = 0.1,
    clip: options.Clip = 1.0,
    accumulate: options.Accumulate = 1,
    ema: options.Ema = None,
    dtype: options.Dtype = None,
    recompute: options.Recompute = None,
    layout: options.Layout = None,
    dropout: Annotated[float | None, typer.Option(help="In place of the preset's.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between losses.")] = None,
    validation_steps: Annotated[int, typer.Option(help="Batches of each validation.")] = 20,
    sample: Annotated[list[str] | None, typer.Option(help="Prompts to continue.")] = None,
    sample_every: Annotated[int, typer.Option(help="Validations between samples.")] = 1,
    patience: Annotated[int | None, typer.Option(help="Validations without progress.")] = None,
    checkpoint_minutes: options.CheckpointMinutes = 10.0,
    keep: options.Keep = 3,
    tensorboard: options.TensorBoard = False,
    seed: options.Seed = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: Config = None,
):
    """Pretrain a language model on token files; run again, it goes on where it stopped.

    A plan is printed first. The run's folder gets run.yaml, log.csv, states/ and model/.
    """
    from zoo.training import plans, pretraining, runs

    settings = settings_of(context)
    runs.begin(layout, seed)
    shape = {"dtype": dtype, "dropout": dropout, "sequence_length": length}
    made, tokenizer = pretraining.make_model(model, data, weights, shape, task)
    length = pretraining.length_of(made)
    plan = plans.plan_of(made, steps, batch_size, length, accumulate, recompute)
    console().print("\n".join(plans.lines(plan)))
    if dry_run:
        show({"plan": plan, "out": str(out)}, as_json, "")
        return
    result = pretraining.pretrain(made, tokenizer, out, settings, 0 if as_json else "auto")
    show({**result, "out": str(out)}, as_json)
