"""Several token files as one stream: documents in a new order each epoch, files in given shares."""

from typing import Any

import numpy as np

from zoo.checks import require_flag, require_several, require_whole
from zoo.data.batches import Batches
from zoo.data.token_files import TokenFile

CHUNK = 2**24  # tokens that are searched for separators at once


class MixedRows(Batches):
    """Rows for next-token training from the documents of several token files.

    In each epoch the documents of all files stand in one new order, whichever file they are in, and
    rows are cut from the stream that they make; all tokens but those of the last, partial row are
    used. With `weights`, an epoch is as long, and each file has its share of it: documents of a
    file that is too short come again, each as often as the others of that file.

    Args:
        files: a list of `TokenFile`s, or of their paths.
        length: int, tokens in a row.
        batch_size: int, rows in a batch; the last batch may have fewer.
        weights: a number for each file, its share of the tokens; None for what they hold.
        seed: int, of the order of documents.
        shuffle: bool; without it the documents stand as they do in the files, one after the other.
        drop_remainder: bool, whether to leave out a smaller last batch.

    Items: `(token_ids, labels)`, both int32, `(batch, length)`.

    Raises:
        ValueError: no files, files of different vocabularies, shares that do not fit, or fewer
            tokens than one row needs.
    """

    def __init__(
        self,
        files: Any,
        length: int,
        batch_size: int,
        weights: Any = None,
        seed: int | None = 0,
        shuffle: bool = True,
        drop_remainder: bool = False,
    ) -> None:
        require_several("files", files, "TokenFiles or their paths")
        for name, value in {"length": length, "batch_size": batch_size}.items():
            require_whole(name, value, optional=False)
        require_whole("seed", seed, smallest=0)
        require_flag("shuffle", shuffle)
        require_flag("drop_remainder", drop_remainder)
        self.files = [f if isinstance(f, TokenFile) else TokenFile(f) for f in files]
        check_files(self.files)
        self.shares = shares_of(weights, len(self.files))
        if self.shares is not None and not shuffle:
            raise ValueError("Files in given shares are drawn in a random order: leave shuffle.")
        self.vocab_size = self.files[0].vocab_size
        self.length, self.batch_size = length, batch_size
        self.shuffle, self.drop_remainder = shuffle, drop_remainder
        # (documents, 3): file, first token, tokens with the separator behind them
        self.documents = np.concatenate([documents_of(n, f) for n, f in enumerate(self.files)])
        self.num_rows = (int(self.documents[:, 2].sum()) - 1) // length
        least = batch_size if drop_remainder else 1
        if self.num_rows < least:
            raise ValueError(
                f"{least} x {length} tokens and one more are needed for a batch; got "
                f"{self.documents[:, 2].sum()}. Use a shorter length, a smaller batch or more text."
            )
        super().__init__(seed)

    def plan(self, rng):
        self._chosen = self._choose(rng)
        self._ends = np.cumsum(self._chosen[:, 2])
        rows, size = np.arange(self.num_rows), self.batch_size
        end = self.num_rows // size * size if self.drop_remainder else self.num_rows
        return [rows[i : i + size] for i in range(0, end, size)]

    def make(self, planned):
        stream = np.stack([self._row(row * self.length) for row in planned])
        return stream[:, :-1], stream[:, 1:]

    def _choose(self, rng):
        if self.shares is None:
            return rng.permutation(self.documents) if self.shuffle else self.documents
        total = self.num_rows * self.length + 1
        chosen = []
        for number, share in enumerate(self.shares):
            own = self.documents[self.documents[:, 0] == number]
            tokens = 0
            while tokens < share * total:
                again = rng.permutation(own)
                needed = np.searchsorted(np.cumsum(again[:, 2]), share * total - tokens) + 1
                chosen.append(again[:needed])
                tokens += int(again[:needed, 2].sum())
        return rng.permutation(np.concatenate(chosen))

    def _row(self, start):
        """The `length + 1` tokens from a place of the stream on, int32."""
        parts, missing = [], self.length + 1
        place = int(np.searchsorted(self._ends, start, side="right"))
        offset = start - (int(self._ends[place - 1]) if place else 0)
        while missing:
            file, first, count = self._chosen[place]
            part = self.files[file].tokens[first + offset : first + min(count, offset + missing)]
            parts.append(part.astype("int32"))
            missing, place, offset = missing - len(part), place + 1, 0
        return np.concatenate(parts)


def documents_of(number, file):
    """`(documents, 3)`, int64: the file's number, first token, and tokens up to the next one's."""
    ends = [
        np.flatnonzero(file.tokens[i : i + CHUNK] == file.separator) + i
        for i in range(0, len(file), CHUNK)
    ]
    ends = np.concatenate(ends).astype("int64")
    # A file begins and ends with a separator.
    first, lengths = ends[:-1] + 1, np.diff(ends)
    found = np.stack([np.full_like(first, number), first, lengths], axis=1)
    return found[lengths > 1]


def check_files(files):
    if not files:
        raise ValueError("There must be at least one token file; got none.")
    for file in files[1:]:
        if file.fingerprint != files[0].fingerprint:
            raise ValueError(
                f"All token files must be written with one tokenizer; {file.path} has another than "
                f"{files[0].path}. Write one of them again."
            )


def shares_of(weights, count):
    """The shares of files, adding up to 1."""
    if weights is None:
        return None
    require_several("weights", weights, "numbers")
    weights = np.asarray(weights, "float64")
    is_sound = weights.shape == (count,) and np.isfinite(weights).all() and (weights >= 0).all()
    if not is_sound or not weights.sum():
        raise ValueError(
            f"weights must be a number of at least 0 for each of the {count} files, not all 0; got "
            f"{weights.tolist()}."
        )
    return weights / weights.sum()
