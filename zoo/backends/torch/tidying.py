"""A traced graph made shorter: where one token is computed, each operation's call is felt."""

import torch

aten = torch.ops.aten
REORDERINGS = (aten.permute.default, aten.transpose.int, aten.t.default)
VIEWS = (aten.view.default, aten._unsafe_view.default)


def tidy(graph):
    """Leave out what only undoes something else; the results are the same to the bit."""
    for node in list(graph.nodes):
        if node.target in REORDERINGS:
            merge_reorderings(graph, node)
        elif node.target in VIEWS:
            merge_views(node)
    graph.eliminate_dead_code()


def merge_reorderings(graph, node):
    """Dimensions are put in order once, or not at all where they end as they were."""
    (source, order), is_changed = reordering(node), False
    while source.target in REORDERINGS:
        source, first = reordering(source)
        order, is_changed = [first[i] for i in order], True
    if order == sorted(order):
        node.replace_all_uses_with(source)
    elif is_changed:
        with graph.inserting_before(node):
            merged = graph.call_function(aten.permute.default, (source, order))
        merged.meta["val"] = node.meta["val"]
        node.replace_all_uses_with(merged)


def reordering(node):
    """What a node puts in order, and the order: its dimension i is `order[i]` of the other's."""
    source, *dims = node.args
    order = list(range(node.meta["val"].dim()))
    if node.target is aten.permute.default:
        return source, [dim % len(order) for dim in dims[0]]
    if order:
        one, other = dims or (0, -1) if len(order) > 1 else (0, 0)
        order[one], order[other] = order[other], order[one]
    return source, order


def merge_views(node):
    """A view of a view is one of what that is of; one of the shape that is there is nothing."""
    source = node.args[0]
    while source.target in VIEWS:
        source = source.args[0]
    node.args = (source, list(node.meta["val"].shape))
    if "val" in source.meta and source.meta["val"].shape == node.meta["val"].shape:
        node.replace_all_uses_with(source)


def fuse_scaled_sums(graph, constant):
    """`a * c + d` of constants c and d in one operation, where that keeps the dtype and shape."""
    for node in list(graph.nodes):
        if node.target is not aten.add.Tensor or node.kwargs or len(node.args) != 2:
            continue
        product, addend = node.args
        if not is_product_by(product, constant) or addend not in constant:
            continue
        a, c = product.args
        values = [n.meta["val"] for n in (node, a, c, addend)]
        if all(v.dtype == torch.float32 for v in values) and values[0].shape == values[1].shape:
            with graph.inserting_before(node):
                fused = graph.call_function(aten.addcmul.default, (addend, a, c))
            fused.meta["val"] = node.meta["val"]
            node.replace_all_uses_with(fused)
            graph.erase_node(node)


def is_product_by(node, constant):
    """Whether a node multiplies by something constant, for one user alone."""
    return (
        isinstance(node, torch.fx.Node)
        and node.target is aten.mul.Tensor
        and len(node.users) == 1
        and node.args[1] in constant
    )


def constants(graph, num_values):
    """The nodes that depend on the first placeholders and on nothing else."""
    found = {node for node in list(graph.nodes)[:num_values] if node.op == "placeholder"}
    for node in graph.nodes:
        is_computed = node.op in ("get_attr", "call_function")
        if is_computed and found.issuperset(node.all_input_nodes):
            found.add(node)
    return found
