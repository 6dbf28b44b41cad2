"""Functions traced to plain PyTorch graphs, for shapes that come again and again.

Where one token runs through a model, Keras' layers cost more than their arithmetic. A trace holds
the operations that they come down to, and nothing else.
"""

import torch
from keras import tree
from torch.fx import Graph, GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from zoo.backends.torch.layout import lay_out_weights, speed_up_products
from zoo.backends.torch.tidying import constants, fuse_scaled_sums, tidy

LARGE_CONSTANT = 2**10  # elements; larger ones are not compared


class TracedFunction:
    """`function(values, *arguments)`, traced for one set of shapes.

    Operations that repeat another are done once. Those on `values` and constants alone are done by
    `prepare`: a loop that leaves `values` alone calls it once.

    Args:
        function: takes and returns nested tensors; it may write into those of `arguments`.
        values: a list of tensors.
        arguments: nested tensors.
        repeats: bool, whether each `prepare` is for many calls, so that it may take its time.
    """

    def __init__(self, function, values, arguments, repeats=True):
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
        tidy(traced.graph)
        speed_up_products(traced.graph)
        if repeats:
            lay_out_weights(traced.graph, len(values))
            fuse_scaled_sums(traced.graph, constants(traced.graph, len(values)))
            tidy(traced.graph)
        kept = written_to(traced.graph)
        merge_repeated(traced, kept)
        self._prepare, self._run = split(traced, len(values), kept)

    def prepare(self, values):
        """What depends on `values` alone, for `__call__`."""
        return self._prepare.forward(*values)  # not its __call__, which a trace elsewhere patches

    def __call__(self, prepared, *arguments):
        results = self._run.forward(*prepared, *tree.flatten(arguments))
        return tree.pack_sequence_as(self._structure, results)


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
