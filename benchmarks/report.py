"""The table on the screen, and RESULTS.md with the plots."""

import sys
import tomllib
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.outcomes import COLUMNS, make_outcomes
from benchmarks.plots import draw_plots

HERE = Path(__file__).parent
METHOD = HERE / "method.md"
EXPLANATIONS = HERE / "explanations.toml"


def report(results, folder):
    """Print the table; write RESULTS.md and the plots into the folder."""
    outcomes = make_outcomes(results)
    table = Table(*COLUMNS, box=box.SIMPLE)
    for outcome in outcomes:
        if outcome.is_measured:
            table.add_row(*outcome.cells)
    # Where there is no terminal, rich would squeeze the table into 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    plots = draw_plots(results, folder / "plots")
    path = folder / "RESULTS.md"
    path.write_text(_document(results, outcomes, plots), encoding="utf-8")
    console.print(f"Written: {path}", soft_wrap=True)


def _document(results, outcomes, plots):
    parts = [
        "# Results",
        _where_and_when(results),
        _counted(outcomes),
        _markdown_table(COLUMNS, [outcome.cells for outcome in outcomes]),
        _explained(outcomes),
        "\n\n".join(f"![{title}](plots/{name})" for name, title in plots),
        METHOD.read_text(encoding="utf-8").strip(),
        "## Versions",
        _markdown_table(("package", "version"), results.context["versions"].items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _where_and_when(results):
    first, last = results.dates
    days = first if first == last else f"{first} to {last}"
    machine = results.context["machine"]
    minutes = sum(process["seconds"] for process in results.processes) / 60
    lines = [
        f"Written by `python -m benchmarks`. Measured on {days}: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory']}, {machine['system']}; "
        f"{len(results.processes)} processes in {minutes:.0f} minutes."
    ]
    if results.context["quick"]:
        lines.append("**A quick run with toy sizes: it shows that the suite works, nothing else.**")
    return "\n\n".join(lines)


def _counted(outcomes):
    judged = [outcome for outcome in outcomes if outcome.met in ("yes", "no")]
    met = sum(outcome.met == "yes" for outcome in judged)
    return f"{met} of {len(judged)} targets met; {len(outcomes) - len(judged)} not judged."


def _explained(outcomes):
    """What is said by hand about missed targets."""
    texts = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8"))
    ids = [outcome.row.id for outcome in outcomes]
    missed = [outcome.row.id for outcome in outcomes if outcome.met == "no"]
    unknown = sorted(texts.keys() - set(ids))
    if unknown:
        raise ValueError(
            f"{EXPLANATIONS.name} must name rows of the table; got {', '.join(unknown)}. "
            f"The rows are {', '.join(ids)}."
        )
    lines = [f"- `{name}`: {texts[name]['text'].strip()}" for name in missed if name in texts]
    return "\n".join(["## Why targets are missed", "", *lines]) if lines else ""


def _markdown_table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
