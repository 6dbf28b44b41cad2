"""Folders of texts of any usual kind, read document by document in bounded memory.

`.txt` files hold a document each; `.jsonl`, `.csv`, `.tsv` and `.parquet` one a row. Each of them
may be compressed, as `.gz` or `.zst`.
"""

import contextlib
import gzip
import shutil
import tempfile
from pathlib import Path

from zoo.data import stream_table

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
COMPRESSED = (".gz", ".zst")


def find_files(sources):
    """The files of texts among paths of files and folders, sorted.

    Raises:
        FileNotFoundError: a path that is not there.
        ValueError: a file of another kind, or folders without any.
    """
    found = []
    for source in map(Path, sources):
        if source.is_dir():
            found += [path for path in source.rglob("*") if path.is_file() and kind_of(path)]
        elif not source.exists():
            raise FileNotFoundError(f"There is no file or folder {str(source)!r}.")
        elif kind_of(source):
            found.append(source)
        else:
            raise ValueError(f"Texts are read from {KINDS}; got {str(source)!r}.")
    if not found:
        raise ValueError(f"Texts are read from {KINDS}; none is in {', '.join(map(str, sources))}.")
    return sorted(set(found))


KINDS = f"files that end in .txt, {', '.join(TABLES)}, or one of these and .gz or .zst"


def kind_of(path):
    """The ending of a file without that of its compression; None for other files."""
    name = path.name.lower()
    ending = next((e for e in COMPRESSED if name.endswith(e)), "")
    suffix = Path(name.removesuffix(ending)).suffix
    return suffix if suffix == ".txt" or suffix in TABLES else None


def documents_in(path, column="text"):
    """The documents of a file: str, or the path of a file that is one.

    Raises:
        ValueError: naming the file: no such column, or a cell that is no text.
    """
    with uncompressed(path) as plain:
        if kind_of(path) == ".txt":
            yield plain
            return
        for number, (text,) in enumerate(stream_table(plain, column)):
            if text is None:
                continue
            if not isinstance(text, str):
                raise ValueError(
                    f"{path}, row {number}: the column {column!r} must hold texts; got {text!r}. "
                    "Name the column of texts."
                )
            yield text


@contextlib.contextmanager
def uncompressed(path):
    """The path of a file, or of what is compressed in it while the context lasts."""
    if path.suffix.lower() not in COMPRESSED:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        try:
            with opened(path) as source, open(plain, "wb") as target:
                shutil.copyfileobj(source, target, 2**20)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} cannot be unpacked: {error}. Fetch it again.") from error
        yield plain


def opened(path):
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            "Reading .zst needs pyarrow, which is not installed: pip install pyarrow."
        ) from error
    return pyarrow.input_stream(str(path), compression="zstd")
