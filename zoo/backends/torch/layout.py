"""Products of a traced graph, each by the kernel and from the layout that read its weight fastest.

A token's step reads every weight once, so that their bytes set its pace. One row times a matrix is
left to one core by MKL, and by oneDNN is not much faster on two: parts of the inputs are multiplied
side by side and added up. Several rows, and bfloat16, are fastest from oneDNN's own layout.
"""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from zoo.backends.torch.products import has_bfloat16_products, has_fast_products
from zoo.backends.torch.tidying import constants

aten, mkldnn = torch.ops.aten, torch.ops.mkldnn
PARTS = 4  # of the inputs of a row; a number of its own, so that sums do not depend on the machine
SMALL = 2**16  # elements of a weight, below which parts cost more than they gain
SMALL_LAYOUT = 2**18  # and its laying out does


def speed_up_products(graph):
    """Let oneDNN multiply matrices; see `zoo.backends.torch.products`."""
    for node in list(graph.nodes):
        if node.target is not aten.mm.default:
            continue
        x, weight = node.args
        dtypes = [source.meta["val"].dtype for source in node.args]
        if has_fast_products(x.meta["val"].device, *dtypes):
            with graph.inserting_before(node):
                transposed = call(graph, aten.t.default, weight)
                product = onednn_product(graph, x, transposed)
            replace(graph, node, product)


def lay_out_weights(graph, num_values):
    """Lay out, once for many steps, the weights that they multiply by."""
    constant = constants(graph, num_values)
    for node in list(graph.nodes):
        if node.target is mkldnn._linear_pointwise.default:
            x, weight, *_ = node.args
            lay_out = lay_out_for_one if num_rows(x) == 1 else lay_out_for_several
        elif is_bfloat16_product(node):
            x, weight = node.args
            lay_out = lay_out_for_several
        else:
            continue
        size = weight.meta["val"].numel()
        if weight in constant and size >= (SMALL if lay_out is lay_out_for_one else SMALL_LAYOUT):
            lay_out(graph, node, constant)


def lay_out_for_one(graph, node, constant):
    """One row: `sum_p x_p W_p` over parts of the inputs, the bias added to the first."""
    x, weight = node.args[:2]  # (1, n) and (m, n)
    outputs, inputs = weight.meta["val"].shape
    if inputs % PARTS:
        return
    bias = bias_of(node, constant)
    with graph.inserting_before(node):
        weight = call(graph, aten.t.default, weight)
        weight = call(graph, aten.clone.default, weight, memory_format=torch.contiguous_format)
        parts = call(graph, aten.view.default, weight, [PARTS, inputs // PARTS, outputs])
        rows = call(graph, aten.view.default, x, [PARTS, 1, inputs // PARTS])
        if bias is None:
            products = call(graph, aten.bmm.default, rows, parts)
        else:
            first = call(graph, aten.view.default, bias, [1, 1, outputs])
            others = call(graph, aten.zeros_like.default, first)
            addends = call(graph, aten.cat.default, [first, *[others] * (PARTS - 1)])
            products = call(graph, aten.baddbmm.default, addends, rows, parts)
    with_bias = node if bias is None else next(iter(node.users))
    with graph.inserting_before(with_bias):
        total = call(graph, aten.sum.dim_IntList, products, [0])
    replace(graph, with_bias, total)
    if bias is not None:
        graph.erase_node(node)


def lay_out_for_several(graph, node, constant):
    """Several rows, or bfloat16: in oneDNN's layout for so many rows, the bias within."""
    x, weight = node.args[:2]
    bias = bias_of(node, constant)
    with graph.inserting_before(node):
        if node.target is aten.mm.default:
            weight = call(graph, aten.t.default, weight)
            weight = call(graph, aten.clone.default, weight, memory_format=torch.contiguous_format)
        arguments = weight, num_rows(x)
        laid_out = graph.call_function(mkldnn._reorder_linear_weight.default, arguments)
        laid_out.meta["val"] = weight.meta["val"]
    with_bias = node if bias is None else next(iter(node.users))
    with graph.inserting_before(with_bias):
        product = onednn_product(graph, x, laid_out, bias)
    replace(graph, with_bias, product)
    if bias is not None:
        graph.erase_node(node)


def is_bfloat16_product(node):
    if node.target is not aten.mm.default:
        return False
    values = [source.meta["val"] for source in node.args]
    return has_bfloat16_products(values[0].device, *(value.dtype for value in values))


def bias_of(node, constant):
    """The constant row that is all that is done with a product: it is added; or None."""
    (user, *others) = node.users
    if others or user.target is not aten.add.Tensor or user.kwargs or user.args[0] is not node:
        return None
    bias, product = user.args[1], node.meta["val"]
    if bias not in constant:
        return None
    value = bias.meta["val"]
    is_row = value.shape == product.shape[-1:] and value.dtype == product.dtype
    return bias if is_row else None


def onednn_product(graph, x, weight, bias=None):
    """A node for `x @ weight.T + bias`."""
    arguments = (x, weight, bias, "none", [], "")
    product = graph.call_function(mkldnn._linear_pointwise.default, arguments)
    with FakeTensorMode():
        x, weight = fake(x), fake(weight)
        product.meta["val"] = x.new_empty((*x.shape[:-1], weight.shape[0]))
    return product


def call(graph, function, *arguments, **others):
    """A node that calls a function, with the shape of its result."""
    node = graph.call_function(function, arguments, others)
    with FakeTensorMode():  # shapes and devices without numbers
        positional, named = torch.fx.map_arg((arguments, others), fake)
        node.meta["val"] = function(*positional, **named)
    return node


def fake(source):
    value = source.meta["val"]
    how = {"dtype": value.dtype, "device": value.device}
    return torch.empty_strided(value.shape, value.stride(), **how)


def replace(graph, node, other):
    node.replace_all_uses_with(other)
    graph.erase_node(node)


def num_rows(x):
    value = x.meta["val"]
    return value.numel() // value.shape[-1]
