"""Print the matrix of families, heads and directions for the backend that runs."""

import argparse

import keras
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.parity.cases import CASES
from benchmarks.parity.check import check

TOLERANCE = 1e-4


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--family", choices=sorted({case.family for case in CASES}))
    parser.add_argument("--usual", action="store_true", help="the rows that tests always run over")
    args = parser.parse_args()
    table = Table(box=box.SIMPLE, padding=0, title=f"Parity on {keras.backend.backend()}")
    for column in ("family", "model", "in", "out", "greedy"):
        table.add_column(column)
    num_failed = 0
    for case in CASES:
        if args.family in (None, case.family) and (case.is_usual or not args.usual):
            cells, is_right = row(case)
            num_failed += not is_right
            table.add_row(case.family, case.name, *cells)
    console = Console(width=110)
    console.print(table)
    console.print(f"{num_failed} of {table.row_count} rows differ by {TOLERANCE} or more.")
    raise SystemExit(bool(num_failed))


def row(case):
    """The cells of a case, and whether all is as it must be."""
    try:
        found = check(case)
    except Exception as error:  # of a row; the others go on
        return [f"{type(error).__name__}: {error}"[:60], "", ""], False
    is_right = found["in"] < TOLERANCE > found["out"] and found["greedy"] is not False
    greedy = {True: "equal", False: "differs", None: ""}[found["greedy"]]
    return [f"{found['in']:.0e}", f"{found['out']:.0e}", greedy], is_right


if __name__ == "__main__":
    main()
