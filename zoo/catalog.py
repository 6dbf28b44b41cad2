"""The bundled presets as a table."""

from zoo import hub
from zoo.config import read_config
from zoo.sizes import count_parameters

CARD_FACTS = ("source", "licence", "metric")


def list_presets():
    """Print a table of the bundled presets and return its rows.

    Returns:
        A list of dicts: name, family, task, parameters (int), disk_bytes (int), weights (bool,
        whether trained ones are there), source, licence, metric (str or None).
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = sorted(map(describe, hub.bundled()), key=lambda row: row["parameters"])
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("task", no_wrap=True)
    table.add_column("parameters", no_wrap=True, justify="right")
    table.add_column("source")
    table.add_column("licence", no_wrap=True)
    table.add_column("metric")
    for row in rows:
        table.add_row(
            *(row[key] for key in ("name", "family", "task")),
            rounded(row["parameters"]),
            *(row[fact] or "" for fact in CARD_FACTS),
        )
    Console().print(table)
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
        "weights": (folder / hub.WEIGHTS_NAME).exists(),
        **{fact: config["card"].get(fact) for fact in CARD_FACTS},
    }


def rounded(count):
    """A number to three digits: 10.2 M."""
    power = min((len(str(count)) - 1) // 3, 3)
    return f"{count / 1000**power:.3g} {' kMG'[power]}".rstrip()
