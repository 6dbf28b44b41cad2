"""Every argument of layers and objectives, with what is wrong for it: one clear sentence."""

import inspect
import math

import keras
import numpy as np
import pytest

import zoo
from tests import wrong_inputs
from tests import wrong_layers as table
from tests.test_wrong_arguments import public, wrong_for
from tests.test_wrong_inputs import complaint, complaints
from zoo.layers.base import Layer
from zoo.ranges import Choice, Ids, Instance


@pytest.fixture
def kinds(monkeypatch):
    monkeypatch.setattr(wrong_inputs, "KINDS", {**wrong_inputs.KINDS, **table.KINDS})


def values_for(declared, parameter):
    """What an argument must not be, by what is declared of it."""
    if isinstance(declared, Ids):
        return [5, "abc", [-1], [1.5], [math.nan], ["a"]]
    if isinstance(declared, (Choice, Instance)):
        return ["no such", 5, [], {}, math.nan]
    return wrong_for(declared, parameter)


def declared_complaints(cls, sound):
    """What is wrong with the errors of a constructor whose arguments are declared."""
    found = []
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        declared = cls.arguments.get(name)
        for value in [] if declared is None else values_for(declared, parameter):
            if declared.fits(value) or (value is None and parameter.default is None):
                continue
            said = complaint(lambda: cls(**{**sound, name: value}), name, "")  # noqa: B023
            found += [f"{cls.__name__}({name}={value!r}): {said}"] if said else []
    return found


@pytest.mark.parametrize("name", table.LAYERS)
def test_every_declared_argument_of_a_layer(name):
    cls = getattr(zoo.layers, name)
    if not issubclass(cls, Layer):
        pytest.skip("Keras' own constructor.")
    found = declared_complaints(cls, table.arguments_of(name))
    assert not found, "\n" + "\n".join(found)


UNDECLARED = {"activation", "initializer", "kernel_initializer", "output_initializer"}
UNDECLARED |= {"recurrent_initializer", "scaling", "table"}  # Keras, or the layer, looks at them


@pytest.mark.parametrize("name", table.LAYERS)
def test_every_argument_of_a_layer_is_declared(name):
    cls = getattr(zoo.layers, name)
    if not issubclass(cls, Layer):
        pytest.skip("Keras' own constructor.")
    parameters = set(inspect.signature(cls.__init__).parameters) - {"self", "kwargs"}
    assert parameters - UNDECLARED <= set(cls.arguments)


@pytest.mark.parametrize("argument", ["activation", "kernel_initializer"])
def test_names_that_keras_does_not_know(argument):
    for value in ("no such", 5, [], math.nan):
        said = complaint(
            lambda: zoo.layers.FeedForward(8, **{argument: value}),  # noqa: B023
            argument,
            "activation|initializer",
        )
        assert said is None, f"{value!r}: {said}"


@pytest.mark.parametrize("name", [n for n, (_, inputs) in table.LAYERS.items() if inputs])
def test_inputs_of_another_kind_or_shape(name):
    first, *others = table.LAYERS[name][1]
    layer = getattr(zoo.layers, name)(**table.arguments_of(name))
    layer(first, *others)
    rank = np.ndim(first)
    wrong = [None, "a", 5, [["a"]], object()]
    if getattr(layer, "rank", None):
        wrong += [np.ones((2,) * n, first.dtype) for n in (rank - 1, rank + 1)]
    for value in wrong:
        said = complaint(lambda: layer(value, *others), "input", "tensor|shape")  # noqa: B023
        assert said is None, f"{value!r}: {said}"


def test_every_public_layer_has_a_row():
    names = {name for name, _ in public(zoo.layers, "")}
    assert names - table.LEFT_OUT == set(table.LAYERS)
    assert names >= table.LEFT_OUT


@pytest.mark.backend_free
@pytest.mark.parametrize("name", table.MADE)
def test_every_declared_argument_of_an_objective(name):
    cls = getattr(zoo.objectives, name)
    found = declared_complaints(cls, table.MADE[name])
    assert not found, "\n" + "\n".join(found)
    parameters = set(inspect.signature(cls.__init__).parameters) - {"self", "continues"}
    assert parameters == set(cls.arguments)


@pytest.mark.backend_free
@pytest.mark.parametrize("name", table.CALLS)
def test_every_argument_of_a_call_of_an_objective(name, kinds):
    make, sound, arguments = table.CALLS[name]
    make()(**sound)
    found = complaints(make(), sound, arguments)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.backend_free
def test_every_public_objective_has_a_row():
    names = {name for name, _ in public(zoo.objectives, "")}
    assert names == set(table.CALLS)
    assert keras.backend.backend()


@pytest.mark.parametrize("room", ["layers", "models", "objectives", "generation"])
def test_what_is_public_says_its_types(room):
    left = []
    for name, value in public(getattr(zoo, room), ""):
        functions = [value]
        if inspect.isclass(value):
            own = ("__init__", "call", "__call__")
            functions = [vars(value)[one] for one in own if one in vars(value)]
        for function in filter(inspect.isfunction, functions):
            if function.__module__.startswith("zoo"):
                left += [f"{name}: {one}" for one in untyped(function)]
    assert not left


def untyped(function):
    """What a function does not say the type of."""
    signature = inspect.signature(function)
    named = [
        p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    left = [p.name for p in named if p.annotation is p.empty and p.name != "self"]
    return left + ["->"] * (signature.return_annotation is signature.empty)
