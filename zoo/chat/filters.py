"""The filters and functions that a chat template may use: Jinja's, where these cannot grow."""

import datetime
import functools
import json
import re

from jinja2 import TemplateError, filters

from zoo.chat.budget import check_size, made, size_of, step

MAX_INDENT = 64  # characters
SAFE = (
    *("capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int"),
    *("items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
    *("reverse", "safe", "select", "selectattr", "sort", "string", "sum", "title", "trim"),
    *("unique", "upper"),
)


def bounded(function):
    """A filter that takes a step, of what is not too large, to what is not too large."""

    @functools.wraps(function)  # with the mark of what Jinja passes to it
    def call(*args, **kwargs):
        for value in args:
            made(value)
        return made(function(*args, **kwargs))

    return call


def counted(iterable):
    """What a loop goes over: each round is a step."""
    for item in iterable:
        step()
        yield item


def concatenated(values):
    """The texts of several values, joined, as by `~`."""
    texts = [str(made(value)) for value in values]
    check_size(sum(map(len, texts)))
    return "".join(texts)


def replace(text, old, new, count=-1):
    text, old, new = str(text), str(old), str(new)
    check_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count if count is not None else -1)


def join(values, separator="", attribute=None):
    if attribute is not None:
        raise TemplateError("join takes no attribute here: use map(attribute=...) before it")
    texts = [str(made(value)) for value in values]
    check_size(sum(map(len, texts)) + len(texts) * len(str(separator)))
    return str(separator).join(texts)


def indent(text, width=4, first=False, blank=False):
    size = width if isinstance(width, int) else len(width)
    if not 0 <= size <= MAX_INDENT:
        raise TemplateError(f"an indent must be at most {MAX_INDENT} characters; got {size}")
    check_size(len(text) + (text.count("\n") + 1) * size)
    return filters.do_indent(text, width, first, blank)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    """As transformers has it: without the escapes of HTML."""
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= MAX_INDENT):
        raise TemplateError(f"an indent must be at most {MAX_INDENT} characters; got {indent!r}")
    check_size(size_of(value) * (indent or 1))
    return json.dumps(
        value,
        ensure_ascii=bool(ensure_ascii),
        indent=indent,
        separators=separators,
        sort_keys=bool(sort_keys),
    )


def raise_exception(message):
    """What a template calls for messages that it was not made for."""
    raise TemplateError(str(message)[:300])


def strftime_now(form):
    """Today, as a template writes it."""
    if len(form) > 100 or not re.fullmatch(r"([^%]|%-?[a-zA-Z%])*", form):
        raise TemplateError(f"a date must be written by plain codes such as %d; got {form[:80]!r}")
    return datetime.datetime.now().strftime(form)


OWN = {
    "indent": indent,
    "join": join,
    "replace": replace,
    "tojson": to_json,
}
FILTERS = {
    name: bounded(function)
    for name, function in {**{name: filters.FILTERS[name] for name in SAFE}, **OWN}.items()
}
