"""Every argument of the public functions and classes beside tasks; see `test_wrong_inputs.py`."""

import importlib.resources
import inspect
import math
import operator

import pytest
import zoo.training.metrics

import zoo
from tests import families, wrong_inputs
from tests import wrong_arguments as table
from tests.models import TEXTS, tiny_gpt, tokenizer
from tests.test_wrong_inputs import complaint, complaints
from zoo.arguments import Boolean, Integer, Number, taken
from zoo.data import write_token_file

NAN = math.nan
NO_PATH = (None, 5, "", "a\0b", b"x", ["a"])
KINDS = {
    "path": (NO_PATH, "[Pp]ath|[Ff]older|[Pp]reset|[Ff]ile|[Nn]ame|vocab|merge"),
    "choice": ((None, "no such", 5, [], {}), ""),
    "choice or none": (("no such", 5, [], {}), ""),
    "dtype": (("no such", 5, [], {"a": 1}), "dtype|policy"),
    "weights": ((None, 5, "folder", [], NAN), ""),
    "refused": (("backbone", 1), "freeze"),
    "several paths": ((None, 5, [], "y.bin", [5], ["no such file"]), "file|path"),
    "shares or none": (("a", 5, [], [0.0], [-1], [NAN], [1, 2]), "weights|share"),
    "below one": ((-0.1, 1, NAN, "a", [0.5]), ""),
    "finite": ((NAN, math.inf, "a", None, [1.0]), "penalty"),
    "new tokens": ((-1, 1.5, "a", NAN, [1], True, None), "min_new_tokens"),
    "name or none": ((5, [], {}), ""),
    "size": ((None, 0, -1, 1.5, "many", [], "5 apples"), ""),
    "repo": ((None, 5, "", "mine", "a/b/c", []), ""),
    "from 0": ((-1, NAN, math.inf, "a", None, [1.0], True), ""),
    "part or none": ((0, -0.1, 1.5, NAN, "a", [0.5]), "top_p"),
    "share or none": ((-0.1, 1.5, NAN, "a", [0.5]), "min_p"),
    "whole or none": ((0, -1, 1.5, "a", NAN, [1], True), "top_k"),
    "id": ((None, "a", 1.5, -1, 10**6), "[Tt]oken ids|id"),
    "id or none": (("a", 1.5, -1, [1.5]), "[Tt]oken|separator"),
    "row of ids": ((None, "a", 5, [1.5], [-1], ["a"]), "[Tt]oken|ids"),
    "seed from 0": ((-1, 1.5, "a", NAN, [1], True), "seed"),
    "column": ((None, 5, "no such", [], ["text", 1.5]), "column"),
    "column or none": (("no such", 1.5, []), "column"),
    "columns": ((None, "no such", [], [1.5]), "column"),
    "column number": ((None, "a", 1.5, 99), "column"),
    "json": ((None, 5, "", "{}", "[1]", b"{}"), "tokenizer|JSON"),
    "token names": ((None, 5, "<a>", [5], [""], ["<a>", "<a>"]), "special"),
    "token": ((None, 5, ["a"]), ""),
    "needed tokenizer": ((None, 5, "gpt", object()), ""),
    "true labels": ((None, 5, "ab", [], ["a"] * 3), "[Ll]abel"),
    "predicted": ((None, 5, [], ["a"]), "[Ll]abel|[Pp]rediction"),
    "listed": ((5, [], ["a"], ["a", "a", "b"]), "[Ll]abel"),
    "labels listed": ((None, 5, [], ["b"], ["a", "a"]), "[Ll]abel"),
    "tags of sentences": ((None, 5, [], ["O"], [["X"]], [["O", "O"]]), "[Tt]ag|[Ss]entence|word"),
    "answers": ((None, 5, [], {"1": 5}, {}), "prediction"),
    "references": ((None, 5, [], [5]), "[Qq]uestion|reference|QAExample"),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    zoo.save(tiny_gpt(), folder / "preset")
    write_token_file(TEXTS, tokenizer(), folder / "y.bin", verbose=False)
    (folder / "x.csv").write_text("text,label\na,b\n")
    (folder / "x.conll").write_text("a O\n")
    (folder / "x.json").write_text('{"data": []}')
    (folder / "vocab.json").write_text('{"a": 0, "b": 1, "<|endoftext|>": 2, "ab": 3}')
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    return table.rows(folder)


@pytest.fixture
def kinds(monkeypatch):
    monkeypatch.setattr(wrong_inputs, "KINDS", {**wrong_inputs.KINDS, **KINDS})


def called(function):
    """A function whose result is used: generators are read."""
    return lambda **arguments: (
        list(result) if inspect.isgenerator(result := function(**arguments)) else result
    )


def test_functions_and_classes(rows, kinds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo.exporting, "_write_in_second_process", lambda model, folder: None)
    found = []
    for name, (sound, arguments) in rows.items():
        function = called(operator.attrgetter(name)(zoo))
        if name not in ("export", "push"):
            function(**sound)
        found += [f"{name} {one}" for one in complaints(function, sound, arguments)]
    assert not found, "\n" + "\n".join(found)


def wrong_for(declared, parameter):
    """Values that an argument of a backbone must not have, by what is declared of it."""
    values = ["a", [1], {}, NAN, math.inf]
    if isinstance(declared, (Integer, Number)):
        values += [declared.low - 1, declared.high * 2 + 1, True]
        values += [1.5] * isinstance(declared, Integer)
    if isinstance(declared, Boolean):
        values += [2, 0.5]
    return values + [None] * (parameter.default is not None)


@pytest.mark.parametrize("row", families.ROWS)
def test_every_argument_of_a_backbone(row):
    config = families.config_of(row)
    cls, sound = zoo.models.FAMILIES[config["family"]], config["backbone"]
    found = []
    for name, parameter in taken(cls).items():
        declared = cls.arguments[name]
        for value in wrong_for(declared, parameter):
            if declared.fits(value):
                continue
            said = complaint(lambda: cls(**{**sound, name: value}), name, "")  # noqa: B023
            found += [f"{name}={value!r}: {said}"] if said else []
    assert not found, "\n" + "\n".join(found)


def test_methods_of_a_tokenizer(kinds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for name, (sound, arguments) in table.METHODS.items():
        method = getattr(tokenizer(), name)
        found += [f"{name} {one}" for one in complaints(method, sound, arguments)]
    assert not found, "\n" + "\n".join(found)


def public(module, prefix):
    """`{name: function or class}` of a module's public ones, methods that make one included."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{prefix}{name}", value
        if inspect.isclass(value) and module is zoo.tokenizers:
            makers = [k for k, v in vars(value).items() if isinstance(v, classmethod)]
            yield from ((f"{prefix}{name}.{k}", getattr(value, k)) for k in makers)


MAKERS_LEFT_OUT = ("from_config", "of")  # called by Keras, and by tasks


def test_what_is_public_has_a_row(rows):
    left, modules = [], {"": zoo, "training.metrics.": zoo.training.metrics}
    modules |= {f"{n}.": getattr(zoo, n) for n in ("data", "generation", "models", "tokenizers")}
    for prefix, module in modules.items():
        for name, value in public(module, prefix):
            elsewhere = (zoo.tasks.Task, zoo.models.Backbone)
            if inspect.isclass(value) and issubclass(value, elsewhere):
                continue
            if name in table.LEFT_OUT or name.endswith(MAKERS_LEFT_OUT):
                continue
            arguments = {key for key in inspect.signature(value).parameters if key != "kwargs"}
            there = set(rows[name][1]) if name in rows else {"no row"}
            left += [(name, arguments ^ there)] if arguments - {"overrides"} != there else []
    assert not left
    methods = {
        name
        for name, value in vars(zoo.tokenizers.Tokenizer).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert methods - {"get_config", "to_json"} == set(table.METHODS)


def test_what_is_public_says_its_types(rows):
    left = []
    for name in rows:
        value = operator.attrgetter(name)(zoo)
        if name.startswith("generation."):
            continue
        function = value.__init__ if inspect.isclass(value) else value
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[inspect.isclass(value) :]
        named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
        left += [f"{name}({p.name})" for p in named if p.annotation is p.empty]
        left += [name] * (signature.return_annotation is signature.empty)
    assert not left
    assert (importlib.resources.files("zoo") / "py.typed").is_file()
