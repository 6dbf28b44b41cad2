"""What a value may be: a type and a range, and how an error says so."""

import inspect
import math
import numbers
from dataclasses import dataclass

from zoo.checks import shown


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    @property
    def expected(self):
        return f"an integer from {self.low} to {self.high}"

    def fits(self, value):
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return is_integer and self.low <= value <= self.high


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; between them alone if the range is open."""

    low: float
    high: float
    is_open: bool = False

    @property
    def expected(self):
        if not self.is_open:
            return f"a number from {self.low} to {self.high}"
        return f"a number above {self.low}" + (
            "" if math.isinf(self.high) else f" and below {self.high}"
        )

    def fits(self, value):
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return False
        is_end = value in (self.low, self.high)
        return self.low <= value <= self.high and not (self.is_open and is_end)


class Boolean:
    """True or False."""

    expected = "true or false"

    def fits(self, value):
        return isinstance(value, bool)


class Choice:
    """One of some values."""

    def __init__(self, *values):
        self.values = values

    @property
    def expected(self):
        return f"one of {', '.join(map(str, self.values))}"

    def fits(self, value):
        return value in self.values


@dataclass(frozen=True)
class Names:
    """Different texts that are not empty, in a list or tuple: from `least` to `most` of them."""

    most: int
    least: int = 2

    @property
    def expected(self):
        return f"a list of at least {'two' if self.least == 2 else self.least} different names"

    def fits(self, value):
        return (
            isinstance(value, (list, tuple))
            and len(value) <= self.most
            and all(isinstance(name, str) and name for name in value)
            and len(set(value)) == len(value) >= self.least
        )


@dataclass(frozen=True)
class Text:
    """A text of at most `most` characters."""

    most: int

    @property
    def expected(self):
        return f"a text of at most {self.most} characters"

    def fits(self, value):
        return isinstance(value, str) and len(value) <= self.most


@dataclass(frozen=True)
class Flags:
    """True and False, at least one and at most `most`, in a list or tuple."""

    most: int
    expected = "a list of true and false"

    def fits(self, value):
        is_list = isinstance(value, (list, tuple)) and 0 < len(value) <= self.most
        return is_list and all(isinstance(flag, bool) for flag in value)


@dataclass(frozen=True)
class Instance:
    """An object of a class, or of one of several."""

    cls: type | tuple[type, ...]
    noun: str

    @property
    def expected(self):
        return f"a {self.noun}"

    def fits(self, value):
        return isinstance(value, self.cls)


@dataclass(frozen=True)
class Ids:
    """Whole numbers from 0 on, in a list, tuple, set or array: at least `least` of them."""

    least: int = 0

    @property
    def expected(self):
        return f"a list of {f'at least {self.least} ' if self.least else ''}token ids"

    def fits(self, value):
        if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__"):
            return False
        ids = list(value)
        return len(ids) >= self.least and all(TOKEN_ID.fits(one) for one in ids)


TOKEN_ID = Integer(0, 2**31 - 1)
SIZE = Integer(1, 2**31 - 1)
SEED = Integer(0, 2**32 - 1)
RATE = Number(0, 1)
POSITIVE = Number(0, math.inf, is_open=True)


def check_declared(cls, given):
    """Raise ValueError for an argument of a constructor that is not what its class declares.

    Args:
        cls: a class with `arguments`, `{name: what it may be}`; None is allowed where it is the
            default.
        given: `{name: value}`.
    """
    parameters = inspect.signature(cls.__init__).parameters
    for name in cls.arguments.keys() & given.keys():
        value, declared = given[name], cls.arguments[name]
        if value is None and name in parameters and parameters[name].default is None:
            continue
        if not declared.fits(value):
            raise ValueError(
                f"{cls.__name__}: {name} must be {declared.expected}; got {shown(value)}."
            )
