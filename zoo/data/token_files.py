"""Token files: a corpus tokenised once, memory-mapped, read as rows.

    write_token_file(documents, tokenizer, "train.bin")
    rows = PackedRows(TokenFile("train.bin"), length=512, batch_size=32, seed=0)
    model.fit(rows)

A file is the raw ids of `<sep> document <sep> document ... <sep>`, as uint16 where the vocabulary
allows it, else uint32, little-endian. Beside it, `train.bin.json` says what it holds.
"""

import contextlib
import hashlib
import json
import operator
import os
from typing import Any

import numpy as np

from zoo.checks import file_path, require_flag, require_several, require_whole, shown
from zoo.data.batches import Batches
from zoo.data.documents import pieces
from zoo.files import is_path, refuse_name, replacing, write_atomically
from zoo.tokenizers import Tokenizer

BATCH_CHARACTERS = 2**22  # text handed to the tokenizer at once: enough to use every core


def write_token_file(
    documents: Any,
    tokenizer: Tokenizer,
    path: str | os.PathLike,
    separator: int | None = None,
    verbose: bool = True,
) -> dict:
    """Tokenise documents into a token file and its sidecar, in bounded memory and on every core.

    Args:
        documents: an iterable of str, of `pathlib.Path`s of UTF-8 files (a document each), or of
            objects with a `text` (such as `corpora.Document`); or one path.
        tokenizer: a `zoo.tokenizers.Tokenizer`.
        path: file to write, replaced in one step when everything has been written.
        separator: id before, between and after documents; default `tokenizer.end_id`.
        verbose: bool, whether to show on a terminal how far it is.

    Returns:
        The sidecar's contents: `{"dtype", "count", "documents", "separator", "vocab_size",
        "tokenizer"}`, the last a sha256 of the tokenizer's JSON.

    Raises:
        OSError: naming the file, if it cannot be written.
        TypeError: a document is not text.
        ValueError: no text, the name of a file in its place, no separator, or an id that is not
            the tokenizer's.
    """
    path, tokenizer = file_path(path, "A token file"), needed(tokenizer)
    require_flag("verbose", verbose)
    documents = [documents] if is_path(documents) else documents
    if isinstance(documents, (str, bytes)):
        refuse_name(documents)
        raise TypeError(
            f"Documents must be an iterable of str or paths; got one {type(documents).__name__}."
        )
    require_several("documents", documents, "texts or paths")
    separator = tokenizer.end_id if separator is None else separator
    if separator is None:
        raise ValueError("The tokenizer has no end token; say which id separates documents.")
    (separator,) = tokenizer.check_ids([separator])
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")
    with replacing(path) as scratch:
        count, number = 1, 0
        with open(scratch, "xb") as file, progress(documents, verbose) as advance:
            file.write(np.array([separator], dtype).tobytes())
            for group in grouped(documents):
                texts, are_last = zip(*group, strict=True)
                for ids, is_last in zip(tokenizer.encode(list(texts)), are_last, strict=True):
                    ids = np.array([*ids, separator] if is_last else ids, "int64")
                    check_ids(ids, tokenizer.vocab_size)
                    file.write(ids.astype(dtype).tobytes())
                    count += len(ids)
                number += sum(are_last)
                advance(sum(are_last), count)
        if count == 1 + number:
            raise ValueError("A token file needs text; got none. Check that the files were read.")
        # The old sidecar goes first: a crash in between leaves a file that is refused, not misread.
        sidecar_path(path).unlink(missing_ok=True)
    sidecar = {
        "dtype": dtype.name,
        "count": count,
        "documents": number,
        "separator": separator,
        "vocab_size": tokenizer.vocab_size,
        "tokenizer": fingerprint(tokenizer),
    }
    write_atomically(sidecar_path(path), json.dumps(sidecar, indent=2) + "\n")
    return sidecar


def needed(tokenizer):
    """The tokenizer itself, of whatever make; raises TypeError for what is none."""
    if not hasattr(tokenizer, "vocab_size"):
        raise TypeError(f"tokenizer must be a zoo.tokenizers.Tokenizer; got {shown(tokenizer)}.")
    return tokenizer


def grouped(documents):
    """Lists of `(text, is_last)`, pieces of documents, each list of about `BATCH_CHARACTERS`."""
    group, size = [], 0
    for number, document in enumerate(documents):
        if number == 0:
            refuse_name(document)
        for text, is_last in pieces(document):
            group.append((text, is_last))
            size += len(text)
            if size >= BATCH_CHARACTERS:
                yield group
                group, size = [], 0
    if group:
        yield group


def check_ids(ids, vocab_size):
    if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
        outside = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(
            f"A token file holds ids from 0 to {vocab_size - 1}, the tokenizer's vocabulary; got "
            f"{outside}."
        )


@contextlib.contextmanager
def progress(documents, verbose):
    """A function to tell how many documents are done and how many tokens there are so far."""
    if not verbose:
        yield lambda done, tokens: None
        return
    from rich import progress as bars
    from rich.console import Console

    console = Console(stderr=True)
    columns = ("tokenising", bars.BarColumn(), bars.MofNCompleteColumn(), "documents,")
    columns += ("{task.fields[tokens]:,} tokens", bars.TimeElapsedColumn())
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=operator.length_hint(documents) or None, tokens=0)
        yield lambda done, tokens: bar.update(task, advance=done, tokens=tokens)


def fingerprint(tokenizer):
    """Hex sha256 of what a tokenizer is, however its JSON is laid out."""
    canonical = json.dumps(json.loads(tokenizer.to_json()), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sidecar_path(path):
    return path.with_name(path.name + ".json")


class TokenFile:
    """A token file, memory-mapped: nothing is read before it is asked for.

    Args:
        path: a file written by `write_token_file`.
        tokenizer: if given, the one that the file must have been written with.

    Attributes:
        tokens: read-only array of ids, `(count,)`, uint16 or uint32.
        separator, vocab_size, documents: as in the sidecar.

    Raises:
        FileNotFoundError: the file or its sidecar is missing.
        ValueError: the two do not agree, or the tokenizer is another one.
    """

    def __init__(self, path: str | os.PathLike, tokenizer: Tokenizer | None = None) -> None:
        self.path = file_path(path, "A token file")
        tokenizer = None if tokenizer is None else needed(tokenizer)
        for file in (self.path, sidecar_path(self.path)):
            if not file.is_file():
                raise FileNotFoundError(
                    f"A token file has two parts, {self.path.name} and "
                    f"{sidecar_path(self.path).name}; {file} is missing. "
                    "Write both with write_token_file."
                )
        dtype, count = self._read_sidecar()
        expected, size = count * dtype.itemsize, self.path.stat().st_size
        if size != expected:
            raise ValueError(
                f"{self.path} must have {expected} bytes ({count} tokens of {dtype.name}); "
                f"it has {size}. It was cut short or belongs to another sidecar: write it again."
            )
        if tokenizer is not None and fingerprint(tokenizer) != self.fingerprint:
            raise ValueError(
                f"{self.path} was written with another tokenizer than the one given; "
                "write it again with this one."
            )
        self.tokens = np.memmap(self.path, dtype=dtype, mode="r")

    def _read_sidecar(self):
        file = sidecar_path(self.path)
        try:
            sidecar = json.loads(file.read_text(encoding="utf-8"))
            self.separator, self.vocab_size = int(sidecar["separator"]), int(sidecar["vocab_size"])
            self.documents, self.fingerprint = int(sidecar["documents"]), sidecar["tokenizer"]
            dtype, count = sidecar["dtype"], int(sidecar["count"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} must be JSON with dtype, count, documents, separator, vocab_size and "
                f"tokenizer; got {type(error).__name__}: {error}. Write the token file again."
            ) from None
        if dtype not in ("uint16", "uint32") or count < 1:
            raise ValueError(
                f"{file}: dtype must be uint16 or uint32 and count at least 1; "
                f"got {dtype!r} and {count}."
            )
        return np.dtype(dtype).newbyteorder("<"), count

    def __len__(self):
        return len(self.tokens)


class PackedRows(Batches):
    """Rows of a token stream for next-token training; reads across document borders.

    Row `i` is `x = stream[i*L : i*L + L]`, and its labels are the same one token later. Every token
    but those of the last, partial row is used once an epoch.

    Args:
        tokens: a `TokenFile`, or a 1-d integer array.
        length: tokens in a row, L.
        batch_size: rows in a batch; the last batch may have fewer.
        seed: of the order of rows. Epoch `n` has the same order in every run.
        shuffle: whether to visit the rows in a new order each epoch, or always as they stand.
        drop_remainder: leave out a smaller last batch.

    Items: `(token_ids, labels)`, both int32, `(batch, length)`.

    Raises:
        ValueError: fewer tokens than one row and its last label need.
    """

    def __init__(
        self,
        tokens: Any,
        length: int,
        batch_size: int,
        seed: int | None = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
    ) -> None:
        is_file = isinstance(tokens, TokenFile)
        self.tokens = tokens.tokens if is_file else np.asarray(tokens)
        self.vocab_size = tokens.vocab_size if is_file else None
        if self.tokens.ndim != 1 or self.tokens.dtype.kind not in "iu":
            raise ValueError(
                "tokens must be a TokenFile or a row of whole numbers; got shape "
                f"{self.tokens.shape} and dtype {self.tokens.dtype}."
            )
        for name, value in {"length": length, "batch_size": batch_size}.items():
            require_whole(name, value, optional=False)
        require_whole("seed", seed, smallest=0)
        require_flag("shuffle", shuffle)
        require_flag("drop_remainder", drop_remainder)
        self.length, self.batch_size = length, batch_size
        self.shuffle, self.drop_remainder = shuffle, drop_remainder
        self.num_rows = (len(self.tokens) - 1) // length
        if self.num_rows < (batch_size if drop_remainder else 1):
            rows = batch_size if drop_remainder else 1
            raise ValueError(
                f"{rows} x {length} tokens and one more are needed for a batch; got "
                f"{len(self.tokens)}. Use a shorter length, a smaller batch or more text."
            )
        super().__init__(seed)

    def plan(self, rng):
        order = rng.permutation(self.num_rows) if self.shuffle else np.arange(self.num_rows)
        size = self.batch_size
        end = self.num_rows // size * size if self.drop_remainder else self.num_rows
        return [order[i : i + size] for i in range(0, end, size)]

    def make(self, planned):
        # (batch, length + 1): the labels need one token more
        positions = planned[:, None] * self.length + np.arange(self.length + 1)
        stream = self.tokens[positions].astype("int32")
        return stream[:, :-1], stream[:, 1:]
