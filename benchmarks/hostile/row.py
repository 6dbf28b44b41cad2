"""A row of the table."""

import dataclasses
from collections.abc import Callable
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Row:
    """Something on a disk that lies.

    Args:
        format: what it seems to be.
        case: in what it lies.
        make: a function that writes it into an empty folder, a Path, and returns what `read` gets.
        read: a function that must refuse it.
        message: a regular expression that the refusal must match.
        named: str, what it must name: a file, or a folder's name.
        errors: of which kinds it may be.
    """

    format: str
    case: str
    make: Callable[[Path], object]
    read: Callable[[object], object]
    message: str
    named: str
    errors: tuple = (ValueError, FileNotFoundError)

    @property
    def name(self):
        return f"{self.format}: {self.case}"
