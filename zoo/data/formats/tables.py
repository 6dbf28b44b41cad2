"""Tables of texts and labels: CSV, TSV, JSON lines and Parquet, row by row.

texts, labels = read_table("tickets.csv", text="body", label="team")
for question, answer in stream_table("pairs.jsonl", ["question", "answer"]):
"""

import csv
import difflib
import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from zoo.checks import existing_file


def read_table(
    path: str | os.PathLike,
    text: str | int | list[str | int] = "text",
    label: str | int | None = None,
) -> Any:
    """Columns of a table of texts.

    Args:
        path: of a file that ends in `.csv`, `.tsv`, `.jsonl` or `.parquet`; see `stream_table`.
        text: name of the column of texts, or several names, as for pairs of texts.
        label: name of the column of labels, or None.

    Returns:
        A list of texts, or of tuples of texts where `text` is several names; with `label`, that
        and a list of labels.

    Raises:
        ValueError: naming the file: see `stream_table`; or a text that is none, with its row.
    """
    single = isinstance(text, (str, int))
    checked_columns(text)
    if label is not None and not isinstance(label, (str, int)):
        raise ValueError(f"label must be the name of a column, or None; got {label!r}.")
    names = [text] if single else list(text)
    rows = list(stream_table(path, names if label is None else [*names, label]))
    texts = [row[: len(names)] for row in rows]
    for number, row in enumerate(texts):
        for name, value in zip(names, row, strict=True):
            if value is not None and not isinstance(value, str):
                raise ValueError(
                    f"{path}, row {number}: the column {name!r} must hold texts; got {value!r}. "
                    "Name the column of texts: text=..."
                )
    texts = [row[0] for row in texts] if single else texts
    return texts if label is None else (texts, [row[-1] for row in rows])


def stream_table(path: str | os.PathLike, columns: Any) -> Iterator[tuple]:
    """The rows of a table one by one, in memory for a few.

    A CSV file may quote its cells, a TSV file has none quoted; the first line names the columns,
    unless columns are asked for by their number. A file of JSON lines has an object a line. Lines
    may end in any way, blank ones are passed over. Parquet needs `pyarrow`.

    Args:
        path: of a UTF-8 file that ends in `.csv`, `.tsv`, `.jsonl` (or `.ndjson`) or `.parquet`.
        columns: names of columns, or one; for CSV and TSV without a first line of names, ints
            from 0.

    Yields:
        A tuple for each row with the values of the columns in their order: str, of JSON and
        Parquet whatever stands there, None for what is missing.

    Raises:
        FileNotFoundError: there is none.
        ImportError: Parquet, without `pyarrow`.
        ValueError: naming the file and the line: another kind of file, a column that is not there,
            a row of another width, a line that is no JSON object, or not UTF-8.
    """
    path, columns = existing_file(path, "A table"), checked_columns(columns)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"A table must be a file that ends in {', '.join(READERS)}; got {os.fspath(path)!r}."
        )
    try:
        yield from reader(path, columns)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: the file must be UTF-8; got the byte 0x{error.object[error.start]:02x}. "
            "Convert it, with iconv for example."
        ) from error


def checked_columns(columns):
    """Names or numbers of columns as a list; refuses what is none."""
    columns = [columns] if isinstance(columns, (str, int)) else columns
    is_list = isinstance(columns, (list, tuple)) and len(columns) > 0
    if not is_list or not all(isinstance(column, (str, int)) for column in columns):
        raise ValueError(
            f"Columns must be the name of a column, or a list of names; got {columns!r}."
        )
    return list(columns)


def comma_separated(path, columns):
    return separated(path, columns, delimiter=",", strict=True)


def tab_separated(path, columns):
    return separated(path, columns, delimiter="\t", quoting=csv.QUOTE_NONE)


def separated(path, columns, **layout):
    numbered = all(isinstance(column, int) for column in columns)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, **layout)
        places, width = columns if numbered else None, None
        try:
            for row in reader:
                if not row:
                    continue
                if places is None:
                    places, width = places_of(columns, row, path), len(row)
                    continue
                width = width or len(row)
                if len(row) != width:
                    raise ValueError(
                        f"{path}, line {reader.line_num}: a row must have {width} cells, as the "
                        f"first line; got {len(row)}. A cell with {layout['delimiter']!r} in it "
                        "must be quoted, which only CSV knows."
                    )
                check_numbers(places, width, path)
                yield tuple(row[place] for place in places)
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {reader.line_num}: the line is no row of the table ({error}). A "
                'quote within a quoted cell is written "".'
            ) from error
    if places is None:
        raise ValueError(f"{path} must name its columns in its first line; it is empty.")


def places_of(columns, names, path):
    twice = [name for name, times in Counter(names).items() if times > 1 and name in columns]
    if twice:
        raise ValueError(f"{path}: each column must be named once; got {twice[0]!r} twice.")
    for column in columns:
        check_column(column, names, path)
    return [names.index(column) for column in columns]


def check_column(column, names, place):
    if column in names:
        return
    close = difflib.get_close_matches(str(column), names, n=1)
    folded = [name for name in names if name.strip().casefold() == str(column).casefold()]
    meant = f" Did you mean {(folded or close)[0]!r}?" if folded or close else ""
    shown = ", ".join(repr(name) for name in names[:20])
    raise ValueError(f"{place}: there is no column {column!r}.{meant} The columns are {shown}.")


def check_numbers(places, width, path):
    for place in places:
        if not -width <= place < width:
            raise ValueError(
                f"{path}: a column's number must be from 0 to {width - 1}; got {place}."
            )


def json_lines(path, columns):
    with open(path, encoding="utf-8-sig") as file:  # all three line ends become "\n"
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{place}: the line must be JSON; got {error}.") from error
            if not isinstance(record, dict):
                raise ValueError(f"{place}: the line must be a JSON object; got {line[:60]!r}.")
            for column in columns:
                check_column(column, list(record), place)
            yield tuple(record[column] for column in columns)


def parquet(path, columns):
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "Reading Parquet needs pyarrow, which is not installed: pip install pyarrow."
        ) from error
    with parquet.ParquetFile(path) as file:
        for column in columns:
            check_column(column, file.schema_arrow.names, path)
        for batch in file.iter_batches(columns=columns):
            yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


READERS = {
    ".csv": comma_separated,
    ".tsv": tab_separated,
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".parquet": parquet,
}
