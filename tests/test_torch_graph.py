"""Traced functions: repeats merged, constants done once, and writes where they belong."""

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch only")
if keras.backend.backend() == "torch":
    import torch

    from zoo.backends.torch.graph import TracedFunction


def operations(module):
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def products(traced):
    return [name for name in operations(traced._run) if "linear" in name or "mm" in name]


def test_repeats_are_merged_and_what_depends_on_values_alone_is_prepared():
    def function(values, x):
        doubled = values[0] * 2 + torch.arange(3)
        return {"a": x @ doubled, "b": [(x @ doubled).sin(), x + torch.tensor([1, 1, 1])]}

    values, x = [torch.rand(3, 3)], torch.rand(2, 3)
    traced = TracedFunction(function, values, (x,))
    assert len(products(traced)) == 1
    assert not {"aten.mul.Tensor", "aten.arange.default"} & set(operations(traced._run))

    values, x = [torch.rand(3, 3)], torch.rand(2, 3)
    seen, expected = traced(traced.prepare(values), x), function(values, x)
    torch.testing.assert_close(seen["a"], expected["a"])
    torch.testing.assert_close(seen["b"], expected["b"])


def test_writes_reach_the_argument_and_equal_copies_stay_apart():
    def function(values, x):
        x[0] = values[0][0] * 3
        one, other, base = x.clone(), x.clone(), torch.zeros(2)
        one[1] = 1.0
        other[1] = 2.0
        base += 1
        return x, one, other, base

    def fresh():
        return [torch.tensor([5.0])], torch.zeros(2)

    values, x = fresh()
    traced = TracedFunction(function, values, (x,))
    for _ in range(2):  # a second call must not find what the first has left
        values, x = fresh()
        prepared = traced.prepare(values)
        for _ in range(2):
            results = traced(prepared, x)
            np.testing.assert_array_equal(x, [15, 0])
            assert [r.tolist() for r in results] == [[15, 0], [15, 1], [15, 2], [1, 1]]


def test_tracing_writes_into_copies():
    x = torch.tensor([1.0, 2.0])
    traced = TracedFunction(lambda values, x: x.copy_(x.flip(0)), [], (x,))
    assert x.tolist() == [1, 2]
    assert traced(traced.prepare([]), x).tolist() == [2, 1]
    assert x.tolist() == [2, 1]


def test_what_is_returned_belongs_to_the_caller():
    traced = TracedFunction(lambda values, x: (x + 1, torch.zeros(2)), [], (torch.zeros(2),))
    prepared = traced.prepare([])
    for _ in range(2):
        _, zeros = traced(prepared, torch.zeros(2))
        assert zeros.tolist() == [0, 0]
        zeros += 1


def test_random_operations_are_neither_merged_nor_prepared():
    def function(values, x):
        return torch.rand(4), torch.rand(4)

    traced = TracedFunction(function, [], (torch.zeros(1),))
    prepared = traced.prepare([])
    draws = [*traced(prepared, torch.zeros(1)), *traced(prepared, torch.zeros(1))]
    assert len({tuple(draw.tolist()) for draw in draws}) == 4


def test_products_go_through_onednn_and_equal_the_plain_ones():
    from zoo.backends.torch.products import linear

    def function(values, x):
        return x @ values[0], x @ values[1].T, (x.bfloat16() @ values[0].bfloat16()).float()

    values, x = [torch.rand(64, 32), torch.rand(32, 64)], torch.rand(5, 64)
    traced = TracedFunction(function, values, (x,))
    if torch.backends.mkldnn.is_available():
        fast = "mkldnn._linear_pointwise.default"
        assert products(traced) == [fast, fast, "aten.mm.default"]  # bfloat16 is left alone
    for seen, expected in zip(traced(traced.prepare(values), x), function(values, x), strict=True):
        torch.testing.assert_close(seen, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(linear(x, values[1]), x @ values[1].T, rtol=1e-6, atol=1e-6)


def test_large_weights_that_meet_several_rows_are_laid_out_once():
    def function(values, x, y):
        return x @ values[0], x @ values[1], x[:1] @ values[0], x @ y

    values = [torch.rand(1024, 1024), torch.rand(1024, 64)]
    x, y = torch.rand(5, 1024), torch.rand(1024, 1024)
    traced = TracedFunction(function, values, (x, y))
    if torch.backends.mkldnn.is_available():
        lay_out = "mkldnn._reorder_linear_weight.default"
        assert operations(traced._prepare).count(lay_out) == 1
        assert lay_out not in operations(traced._run)
    found = traced(traced.prepare(values), x, y)
    for seen, expected in zip(found, function(values, x, y), strict=True):
        torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-4)


def test_one_row_meets_weights_in_parts_and_bfloat16_in_onednns_layout():
    def function(values, x, y):
        weight, bias, table = values
        rounded = y.bfloat16() @ weight.bfloat16() + bias.bfloat16()
        return x @ weight + bias, x @ table.T, y @ weight + bias, rounded.float()

    values = [torch.rand(512, 1024), torch.rand(1024), torch.rand(2048, 512)]
    arguments = torch.rand(1, 512), torch.rand(3, 512)
    traced = TracedFunction(function, values, arguments)
    if torch.backends.mkldnn.is_available():
        ran = operations(traced._run)
        assert [name for name in ran if "bmm" in name] == [
            "aten.baddbmm.default",
            "aten.bmm.default",
        ]
        assert "aten.add.Tensor" not in ran  # every bias is added within its product
        assert {"aten.clone.default", "aten.cat.default"} <= set(operations(traced._prepare))
    found, expected = traced(traced.prepare(values), *arguments), function(values, *arguments)
    for seen, right in zip(found[:3], expected[:3], strict=True):
        torch.testing.assert_close(seen, right, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found[3], expected[3], rtol=2e-2, atol=2e-2)


def test_what_is_prepared_for_one_call_is_not_laid_out():
    def function(values, x):
        return x @ values[0]

    values, x = [torch.rand(512, 1024)], torch.rand(4, 512)
    traced = TracedFunction(function, values, (x,), repeats=False)
    assert "mkldnn._reorder_linear_weight.default" not in operations(traced._prepare)


def test_what_undoes_something_is_left_out():
    def function(values, x):
        turned = x.permute(2, 0, 1).transpose(0, 1).permute(0, 2, 1)  # as x was
        return turned.reshape(6, 4).reshape(2, 12).reshape(24) + 1, x.permute(2, 0, 1).permute(
            1, 2, 0
        )

    x = torch.rand(2, 3, 4)
    traced = TracedFunction(function, [], (x,))
    assert operations(traced._run) == ["aten.view.default", "aten.add.Tensor"]
    for seen, right in zip(traced(traced.prepare([]), x), function([], x), strict=True):
        assert torch.equal(seen, right)
