"""Print the table of files that lie, and how each is refused."""

import argparse
import collections

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.hostile.check import attempt_apart, slips
from benchmarks.hostile.rows import ROWS


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--format", choices=sorted({row.format for row in ROWS}))
    parser.add_argument("--case", help="a part of the names of cases")
    args = parser.parse_args()
    table = Table(box=box.SIMPLE, padding=0, title="Files that lie")
    for column in ("format", "case", "seconds", "MB", "refusal"):
        table.add_column(column, overflow="fold")
    slipped, worst = [], collections.Counter()
    for row in ROWS:
        if args.format not in (None, row.format) or (args.case or "") not in row.case:
            continue
        outcome = attempt_apart(row)
        found = slips(row, outcome)
        slipped += [f"{row.name}: {'; '.join(found)}"] if found else []
        sentence = outcome.sentence.replace("\n", " ")[:160]
        numbers = f"{outcome.seconds:.2f}", f"{outcome.megabytes:.0f}"
        table.add_row(row.format, row.case, *numbers, sentence)
        worst["seconds"] = max(worst["seconds"], outcome.seconds)
        worst["MB"] = max(worst["MB"], outcome.megabytes)
    console = Console(width=140)
    console.print(table)
    for text in slipped:
        console.print(text, markup=False)
    console.print(
        f"{len(slipped)} of {table.row_count} cases slipped; the slowest took "
        f"{worst['seconds']:.2f} s, the largest {worst['MB']:.0f} MB."
    )
    raise SystemExit(bool(slipped))


if __name__ == "__main__":
    main()
