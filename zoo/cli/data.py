"""`zoo data tokenize`."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich import progress

from zoo.cli.running import AsJson, Config, DryRun, command, console, show

app = typer.Typer(help="Prepare data.", no_args_is_help=True, rich_markup_mode=None)


@command(app, "tokenize", "zoo data tokenize texts/ --tokenizer new:16000 --out data/")
def tokenize(
    sources: Annotated[list[Path], typer.Argument(help="Files and folders of texts.")],
    tokenizer: Annotated[
        str,
        typer.Option(help="A tokenizer.json, a folder or preset with one, or new:SIZE."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    text: Annotated[str, typer.Option(help="The column of texts in tables.")] = "text",
    validation: Annotated[float, typer.Option(help="The share that is held out.")] = 0.0,
    shard: Annotated[str, typer.Option(help="i/n for the i-th of n machines, from 0.")] = "0/1",
    workers: Annotated[int | None, typer.Option(help="Parts at once; all cores.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of files.")] = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    config: Config = None,
):
    """Turn texts into token files: on all cores, in bounded memory; run again, it goes on.

    Reads .txt, .jsonl, .csv, .tsv and .parquet, each also as .gz or .zst.
    """
    from zoo.training.text_files import find_files
    from zoo.training.tokenizing import NEW, parts_of
    from zoo.training.tokenizing import tokenize as write

    place = shard_of(shard)
    files = find_files(sources)
    size = sum(path.stat().st_size for path in files)
    parts = parts_of(files[place[0] :: place[1]])
    if dry_run:
        facts = {"files": len(files), "bytes": size, "parts": len(parts), "out": str(out)}
        show(facts, as_json)
        return
    chosen = tokenizer if tokenizer.startswith(NEW) else named_tokenizer(tokenizer)
    columns = ("tokenizing", progress.BarColumn(), progress.MofNCompleteColumn(), "parts,")
    columns += ("{task.fields[tokens]:,} tokens", progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console()) as bar:
        task = bar.add_task("", total=len(parts), tokens=0)

        def advance(part, tokens, is_new):
            bar.update(task, advance=1, tokens=bar.tasks[0].fields["tokens"] + tokens)

        totals = write(files, chosen, out, text, place, validation, workers, seed, advance)
    show({**totals, "out": str(out)}, as_json)


def shard_of(text):
    if not re.fullmatch(r"\d+/\d+", text):
        raise ValueError(f"A shard is i/n, such as 0/8; got {text!r}.")
    return tuple(map(int, text.split("/")))


def named_tokenizer(name):
    """The tokenizer at a path, or that of a preset."""
    from zoo import hub
    from zoo.tokenizers import Tokenizer

    is_there = Path(name).is_file() or (Path(name) / hub.TOKENIZER_NAME).is_file()
    return Tokenizer.load(name if is_there else hub.resolve(name))
