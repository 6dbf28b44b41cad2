"""`zoo list` and `zoo info`."""

import contextlib
import io
from typing import Annotated

import typer

from zoo.cli.running import AsJson, Model, command, model_folder, show

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
TRAINING_BYTES = 16  # float32: a weight, its gradient and two moments


def add_to(app):
    """Make these commands of an app."""
    command(app, "list", "zoo list --task causal_lm")(list_presets)
    command(app, "info", "zoo info gpt-small")(info)


def list_presets(
    family: Annotated[str | None, typer.Option(help="Presets of this family alone.")] = None,
    task: Annotated[str | None, typer.Option(help="Presets made for this task alone.")] = None,
    as_json: AsJson = False,
):
    """List the presets that come with the package."""
    from zoo.catalog import list_presets

    if not as_json:
        list_presets(family, task)
        return
    with contextlib.redirect_stdout(io.StringIO()):
        rows = list_presets(family, task)
    show(rows, True)


def info(model: Model, as_json: AsJson = False):
    """Tell what a model is: architecture, sizes, memory by dtype, tokenizer, card."""
    facts = describe(model)
    show(facts, as_json, "\n".join(f"{name:<12} {value}" for name, value in flat(facts)))


def describe(name):
    """A dict of facts about a preset, without making its model."""
    from zoo import checkpoints, hub
    from zoo.config import read_config
    from zoo.sizes import count_parameters
    from zoo.tokenizers import Tokenizer

    folder = hub.resolve(model_folder(name))
    is_foreign = checkpoints.is_foreign(folder)
    config = (
        checkpoints.read_config(folder) if is_foreign else read_config(folder / hub.CONFIG_NAME)
    )
    count = count_parameters(config)
    if is_foreign:
        tokenizer = checkpoints.read_tokenizer(folder)
    else:
        has_one = (folder / hub.TOKENIZER_NAME).exists()
        tokenizer = Tokenizer.load(folder) if has_one else None
    return {
        "folder": str(folder),
        "family": config["family"],
        "task": config["task"],
        "parameters": count,
        "backbone": config["backbone"],
        "arguments": config["task_arguments"],
        "memory": {
            **{dtype: f"{size * count / 1e9:.3f} GB" for dtype, size in BYTES.items()},
            "training": f"{TRAINING_BYTES * count / 1e9:.3f} GB",
        },
        "tokenizer": None
        if tokenizer is None
        else f"{type(tokenizer).__name__} of {tokenizer.vocab_size} ids",
        "card": config.get("card") or {},
    }


def flat(facts):
    """Pairs of names and values, those of dicts one by one."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, f"{value:,}" if isinstance(value, int) else value
