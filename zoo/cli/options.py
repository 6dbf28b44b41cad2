"""Flags that commands which train have in common, each declared once."""

from typing import Annotated

import typer

LearningRate = Annotated[float, typer.Option(help="The highest.")]
Schedule = Annotated[str, typer.Option(help="cosine, wsd, inverse_sqrt, constant.")]
WeightDecay = Annotated[float, typer.Option(help="Not of norms and biases.")]
BatchSize = Annotated[int, typer.Option(help="Rows of a batch.")]
Clip = Annotated[float, typer.Option(help="The most norm of gradients; 0 for any.")]
Accumulate = Annotated[int, typer.Option(help="Batches of an update.")]
Ema = Annotated[float | None, typer.Option(help="Momentum of averaged weights.")]
Dtype = Annotated[str | None, typer.Option(help="float32, mixed_bfloat16, ...")]
Recompute = Annotated[
    str | None, typer.Option(help="blocks: keep of each its input alone, for less memory.")
]
Layout = Annotated[
    str | None, typer.Option(help="sharded: each process with a part of the weights.")
]
CheckpointMinutes = Annotated[float, typer.Option(help="Between two states.")]
Keep = Annotated[int, typer.Option(help="States on disk.")]
TensorBoard = Annotated[bool, typer.Option(help="Write logs for TensorBoard.")]
Seed = Annotated[int, typer.Option(help="Of weights and order.")]
