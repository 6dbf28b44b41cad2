"""Functions traced to plain PyTorch graphs, for shapes that come again and again.

Where one token runs through a model, Keras' layers cost more than their arithmetic. A trace holds
the operations that they come down to, and nothing else.
"""

import torch
from keras import tree
from torch.fx import Graph, GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from zoo.backends.torch.products import has_fast_products

LARGE_WEIGHT = 2**20  # elements; smaller ones gain less than their laying out costs
LARGE_CONSTANT = 2**10  # elements; larger ones are not compared


class TracedFunction:
    """`function(values, *arguments)`, traced for one set of shapes.

    Operations that repeat another are done once. Those on `values` and constants alone are done by
    `prepare`: a loop that leaves `values` alone calls it once.

    Args:
        function: takes and returns nested tensors; it may write into those of `arguments`.
        values: a list of tensors.
        arguments: nested tensors.
    """

    def __init__(self, function, values, arguments):
        results = []

        def flat(*tensors):
            inner = tree.pack_sequence_as(arguments, tensors[len(values) :])
            result = function(list(tensors[: len(values)]), *inner)
            results.append(tree.map_structure(lambda _: 0, result))
            return tree.flatten(result)

        # Tracing runs the function: what it writes must not reach the caller's tensors.
        tensors = [*values, *(tensor.clone() for tensor in tree.flatten(arguments))]
        traced = make_fx(flat)(*tensors)
        self._structure = results[-1]
        speed_up_products(traced.graph)
        lay_out_weights(traced.graph, len(values))
        kept = written_to(traced.graph)
        merge_repeated(traced, kept)
        self._prepare, self._run = split(traced, len(values), kept)

    def prepare(self, values):
        """What depends on `values` alone, for `__call__`."""
        return self._prepare.forward(*values)  # not its __call__, which a trace elsewhere patches

    def __call__(self, prepared, *arguments):
        results = self._run.forward(*prepared, *tree.flatten(arguments))
        return tree.pack_sequence_as(self._structure, results)


def speed_up_products(graph):
    """Let oneDNN multiply matrices; see `zoo.backends.torch.products`."""
    for node in list(graph.nodes):
        if node.target is not torch.ops.aten.mm.default:
            continue
        x, weight = node.args
        dtypes = [source.meta["val"].dtype for source in node.args]
        if has_fast_products(x.meta["val"].device, *dtypes):
            with graph.inserting_before(node):
                transposed = graph.call_function(torch.ops.aten.t.default, (weight,))
                transposed.meta["val"] = weight.meta["val"].T
                arguments = (x, transposed, None, "none", [], "")
                product = graph.call_function(torch.ops.mkldnn._linear_pointwise.default, arguments)
            node.replace_all_uses_with(product)
            graph.erase_node(node)


def lay_out_weights(graph, num_values):
    """Let oneDNN lay out weights that meet several rows: it sets the pace of their products."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    constant = set(placeholders[:num_values])
    for node in list(graph.nodes):
        if node.op == "call_function" and constant.issuperset(node.all_input_nodes):
            constant.add(node)
        if str(node.target) != "mkldnn._linear_pointwise.default" or node.args[1] not in constant:
            continue
        x, weight, *others = node.args
        rows, size = (source.meta["val"].shape.numel() for source in (x, weight))
        num_rows = rows // x.meta["val"].shape[-1]
        if num_rows > 1 and size >= LARGE_WEIGHT:
            with graph.inserting_before(node):
                lay_out = torch.ops.mkldnn._reorder_linear_weight.default
                laid_out = graph.call_function(lay_out, (weight, num_rows))
            node.args = (x, laid_out, *others)


def written_to(graph):
    """Nodes that write, what they write into, and all that the latter are made of."""
    writers, targets = set(), set()
    for node in reversed(graph.nodes):
        if getattr(getattr(node.target, "_schema", None), "is_mutable", False):
            writers.add(node)
            targets.add(node.args[0])
        if node in targets:
            targets.update(node.all_input_nodes if node not in writers else node.args[:1])
    return writers | targets


def merge_repeated(traced, kept):
    """Let one node do what several would compute equally."""
    first = {}
    for node in list(traced.graph.nodes):
        if node in kept or is_random(node):
            continue
        if node.op == "get_attr":
            constant = getattr(traced, node.target)
            if constant.numel() > LARGE_CONSTANT:
                continue
            key = constant.device, constant.dtype, repr(constant.tolist())
        elif node.op == "call_function":
            key = node.target, repr(node.args), repr(node.kwargs)
        else:
            continue
        if key in first:
            node.replace_all_uses_with(first[key])
            traced.graph.erase_node(node)
        else:
            first[key] = node
    traced.graph.eliminate_dead_code()


def split(traced, num_values, kept):
    """Two modules: from the values to what later operations need of them, and from that to the end.

    Returns:
        `prepare(*values) -> list` and `run(*prepared, *arguments) -> list`.
    """
    early_graph, late_graph = Graph(), Graph()
    placeholders = [node for node in traced.graph.nodes if node.op == "placeholder"]
    output = next(node for node in traced.graph.nodes if node.op == "output")
    values, arguments = placeholders[:num_values], placeholders[num_values:]
    early = {node: early_graph.placeholder(f"value_{i}") for i, node in enumerate(values)}
    for node in traced.graph.nodes:
        is_early = (
            node.op in ("call_function", "get_attr")
            and node not in kept
            and output not in node.users  # a result belongs to the caller, who may write into it
            and not is_random(node)
            and all(source in early for source in node.all_input_nodes)
        )
        if is_early:
            early[node] = early_graph.node_copy(node, early.__getitem__)
    late_nodes = [n for n in traced.graph.nodes if n not in early and n.op != "placeholder"]
    needed = dict.fromkeys(s for node in late_nodes for s in node.all_input_nodes if s in early)
    early_graph.output([early[node] for node in needed])

    late = {node: late_graph.placeholder(f"prepared_{i}") for i, node in enumerate(needed)}
    for i, node in enumerate(arguments):
        late[node] = late_graph.placeholder(f"argument_{i}")
    for node in late_nodes:
        late[node] = late_graph.node_copy(node, late.__getitem__)
    early_graph.eliminate_dead_code()
    return GraphModule(traced, early_graph), GraphModule(traced, late_graph)


def is_random(node):
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
