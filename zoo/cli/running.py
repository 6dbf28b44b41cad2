"""How every command runs: settings by flags or a file, errors in a sentence, results as JSON."""

import contextlib
import contextvars
import functools
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from zoo.backends.world import WORLD
from zoo.training.runs import MODEL, read_settings

_DEBUGS = contextvars.ContextVar("debugs", default=False)
EXPECTED = (ValueError, TypeError, OSError, ArithmeticError, ImportError, NotImplementedError)
EXPECTED += (MemoryError, RuntimeError)


@contextlib.contextmanager
def debugging(is_wanted):
    """Whether errors are shown with where they come from."""
    token = _DEBUGS.set(is_wanted)
    try:
        yield
    finally:
        _DEBUGS.reset(token)


def command(app, name, example):
    """Make a function a command: its errors a sentence each, its help with an example."""

    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except KeyboardInterrupt:
                print("zoo: stopped.", file=sys.stderr)
                raise typer.Exit(130) from None
            except EXPECTED as error:
                if _DEBUGS.get():
                    raise
                print(f"zoo: {' '.join(str(error).split())}", file=sys.stderr)
                raise typer.Exit(1) from None

        return app.command(name, epilog=f"Example: {example}")(run)

    return decorate


def from_file(context: typer.Context, path: Path | None):
    """Settings of a YAML file stand in for flags that are not given."""
    if path is None:
        return None
    known = [parameter.name for parameter in context.command.params]
    try:
        context.default_map = read_settings(path, known)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=from_file,
        is_eager=True,
        help="A YAML file of settings, by the names of flags; flags go before it.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")]
Model = Annotated[str, typer.Argument(help="A preset's name, a folder, a run, or hf://owner/name.")]


def settings_of(context, *without):
    """`{name: value}` of what a command was called with."""
    left_out = {"config", "as_json", "dry_run", "out", *without}
    return {name: value for name, value in context.params.items() if name not in left_out}


def show(result, as_json, text=None):
    """Print a result, by the first process alone: as JSON, or as text of it."""
    if WORLD.rank:
        return
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        print(text if text is not None else as_text(result))


def as_text(result):
    if isinstance(result, dict):
        return "\n".join(f"{name}  {value}" for name, value in result.items())
    return str(result)


def console():
    """Where progress is shown: standard error, so that results can be piped."""
    return Console(stderr=True, highlight=False, quiet=WORLD.rank > 0)


def model_folder(name):
    """The preset of a run's folder; any other name as it is."""
    inside = Path(name) / MODEL
    return str(inside) if (inside / "config.json").is_file() else name


def load_model(name, expected=None, **arguments):
    """The task of a preset or a run.

    Raises:
        ValueError: it is not for one of the `expected` tasks.
    """
    from zoo.loading import load

    model = load(model_folder(name), **arguments)
    if expected and model.task_name not in expected:
        raise ValueError(
            f"This command takes a model for {' or '.join(expected)}; {name!r} is one for "
            f"{model.task_name}."
        )
    return model


def texts_of(given):
    """Texts from arguments, or the lines of standard input where they are `-` or none."""
    if given and list(given) != ["-"]:
        return list(given)
    if sys.stdin.isatty():
        raise ValueError("There must be a text: pass it, or pipe in lines of it.")
    return [line.rstrip("\n") for line in sys.stdin if line.strip()]
