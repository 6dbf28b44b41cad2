"""What a constructor's arguments may be: a type and a range for each, said beside the class.

    class GPT(Backbone):
        family = "gpt"
        arguments = Backbone.arguments | {"num_groups": Integer(1, 2**12)}

Which arguments a class takes, and which it needs, its signature says; None is allowed where it is
the default. What must hold between them, its `check_together` says. So a config that anybody wrote
is checked before anything is made.
"""

import inspect

from zoo.checks import shown
from zoo.hub import suggestion
from zoo.ranges import RATE, Boolean, Choice, Flags, Integer, Names, Number, Text

__all__ = [
    "DTYPES",
    "LABELS",
    "LENGTH",
    "RATE",
    "Boolean",
    "Choice",
    "Flags",
    "Integer",
    "Names",
    "Number",
    "Text",
    "check",
    "check_values",
    "is_needed",
    "taken",
]

MADE_BY_LOAD = ("self", "backbone", "tokenizer", "special_tokens", "kwargs")  # never in a config


LENGTH = Integer(1, 2**24)
LABELS = Names(2**16)
DTYPES = Choice("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


def taken(cls):
    """`{name: inspect.Parameter}` of what a config may give to a constructor."""
    parameters = inspect.signature(cls.__init__).parameters
    return {name: p for name, p in parameters.items() if name not in MADE_BY_LOAD}


def check(cls, arguments, source):
    """Raise ValueError unless names, types and ranges are those that a class declares.

    Args:
        cls: a class with `arguments`, such as a backbone or a task.
        arguments: `{name: value}` for its constructor.
        source: str, what an error is about, such as a file and its section.
    """
    parameters = taken(cls)
    for name in arguments:
        if name not in parameters:
            raise ValueError(
                f"{source} has an unknown argument {name[:80]!r}. "
                f"{suggestion(name, parameters)}{cls.__name__} takes {', '.join(parameters)}."
            )
    check_values(cls, arguments, source)
    for name, parameter in parameters.items():
        if name not in arguments and is_needed(parameter, cls.arguments[name]):
            raise ValueError(f"{source} must give {name!r}, which {cls.__name__} needs.")


def is_needed(parameter, declared):
    """Whether an argument has no default, or one that stands for none, as `labels=()` does."""
    default = parameter.default
    return default is parameter.empty or (default is not None and not declared.fits(default))


def check_values(cls, arguments, source):
    """As `check`, of the values alone."""
    parameters = taken(cls)
    for name, value in arguments.items():
        if value is None and parameters[name].default is None:
            continue
        if not cls.arguments[name].fits(value):
            raise ValueError(
                f"{source}: {name} must be {cls.arguments[name].expected}; got {shown(value)}."
            )
    if hasattr(cls, "check_together"):
        cls.check_together(arguments, source)
