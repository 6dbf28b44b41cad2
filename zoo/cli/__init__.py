"""The command `zoo`: a file for each group of commands, which compute nothing themselves."""

import sys
import warnings

import typer

from zoo.cli import data, evaluating, exporting, finetuning, presets, reading, training, writing
from zoo.cli.running import debugging

app = typer.Typer(
    help="Train, fine-tune and use small language models on Keras 3. KERAS_BACKEND chooses the "
    "backend. `--debug` behind any command shows where an error comes from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (presets, training, finetuning, evaluating, writing, reading, exporting):
    group.add_to(app)
app.add_typer(data.app, name="data")


def main(arguments=None):
    """Run a command; returns its exit status: 0, 1 for an error, 2 for wrong usage."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = show_warning
    with debugging("--debug" in arguments):
        try:
            app([argument for argument in arguments if argument != "--debug"], prog_name="zoo")
        except SystemExit as exit:
            return exit.code or 0


def show_warning(message, category, filename, lineno, file=None, line=None):
    """A warning as a line, without the place in the code."""
    print(f"zoo: {message}", file=sys.stderr)
