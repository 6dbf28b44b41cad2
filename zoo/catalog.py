"""The bundled presets as a table."""

from zoo import hub
from zoo.config import choose, read_config
from zoo.models import FAMILIES
from zoo.short_names import SHORT_NAMES
from zoo.sizes import count_parameters
from zoo.tasks import TASKS

CARD_FACTS = ("source", "licence", "metric")
WIDE = 110  # columns of a terminal that has room for all of them


def list_presets(family: str | None = None, task: str | None = None) -> list[dict]:
    """Print a table of the bundled presets, the smallest first, and return its rows.

    ```python
    zoo.list_presets(family="bert")
    names = [row["name"] for row in zoo.list_presets(task="causal_lm") if row["weights"]]
    ```

    Args:
        family: the name of a family, such as `"bert"`, for its presets alone.
        task: the name of a task, such as `"causal_lm"`, for presets that are made for it.

    Returns:
        A list of dicts: name, family, task, parameters (int), disk_bytes (int), weights (bool,
        whether trained ones come with the package), download (the model of the hub that `zoo.load`
        fetches where they do not), source, licence, metric (str or None).

    Raises:
        ValueError: there is no such family or task.
    """
    for what, name, table in (("family", family, FAMILIES), ("task", task, TASKS)):
        if name is not None:
            choose(what, name, table, "zoo.list_presets")
    rows = sorted(map(describe, hub.bundled()), key=lambda row: row["parameters"])
    rows = [row for row in rows if family in (None, row["family"]) and task in (None, row["task"])]
    others = [name for name in SHORT_NAMES if name not in hub.bundled()]
    show(rows, others if (family, task) == (None, None) else [])
    return rows


def describe(name):
    folder = hub.resolve(hub.bundled_folder() / name)
    config = read_config(folder / hub.CONFIG_NAME)
    return {
        "name": name,
        "family": config["family"],
        "task": config["task"],
        "parameters": count_parameters(config),
        "disk_bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        "weights": hub.has_weights(name),
        "download": None if hub.has_weights(name) else SHORT_NAMES.get(name),
        **{fact: config["card"].get(fact) for fact in CARD_FACTS},
    }


def show(rows, others):
    """Print rows as a table, a line of 80 columns each; more facts where there is room.

    Args:
        rows: those of `list_presets`.
        others: short names of models of the hub, which are printed below.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    columns = ["name", "family", "task", "size", "measured"]
    if console.width >= WIDE:
        columns += ["source", "licence"]
    table = Table(box=box.SIMPLE, padding=0)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column == "size" else "left")
    for row in rows:
        there = "fetched by zoo.load" if row["download"] else "no weights"
        there = row["metric"] or "trained" if row["weights"] else there
        texts = {**row, "size": rounded(row["parameters"]), "measured": there}
        table.add_row(*(texts[column] or "" for column in columns))
    console.print(table)
    if others:
        console.print(f"From the hub, by short names: {', '.join(others)}.", highlight=False)


def rounded(count):
    """A number to three digits: 10.2 M."""
    power = min((len(str(count)) - 1) // 3, 3)
    return f"{count / 1000**power:.3g} {' kMG'[power]}".rstrip()
