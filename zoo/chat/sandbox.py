"""Jinja in a sandbox that bounds what a template takes.

Jinja's own keeps a template from the attributes of Python. It lets it loop for ever, and make a
text of a terabyte from two letters; so here each round of a loop, each call, filter and operator is
a step, and what any of them makes has a size. Templates are rewritten for it before they are
compiled; the filters' names cannot be written in a template.
"""

import types

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from zoo.chat import filters
from zoo.chat.budget import check_size, made, size_of, step

COUNTED, CONCATENATED, MADE = "a counted loop", "joined texts", "a list made"
METHODS = (
    *("strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith"),
    *("lower", "upper", "title", "capitalize", "find", "rfind", "index", "count", "removeprefix"),
    *("removesuffix", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower"),
    *("items", "keys", "values", "get", "cycle", "changed"),
)
BOUNDED = {
    "replace": filters.replace,
    "join": lambda separator, values: filters.join(values, separator),
}


class Bounds(NodeTransformer):
    """Puts filters where a template could grow without a call."""

    def visit_For(self, node):
        self.generic_visit(node)
        node.iter = filtered(node.iter, COUNTED)
        return node

    def visit_Concat(self, node):
        self.generic_visit(node)
        return filtered(nodes.List(node.nodes, lineno=node.lineno), CONCATENATED)

    def visit_List(self, node):
        self.generic_visit(node)
        return filtered(node, MADE)

    visit_Dict = visit_List

    def visit_Tuple(self, node):
        self.generic_visit(node)
        return filtered(node, MADE) if node.ctx == "load" else node


def filtered(node, name):
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class Generation(Extension):
    """`{% generation %}`, which marks for training what the assistant says: here, nothing more."""

    tags = frozenset({"generation"})

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """See above."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # what is constant would be worked out where nothing counts
            finalize=as_text,
            extensions=["jinja2.ext.loopcontrols", Generation],
        )
        own = {COUNTED: filters.counted, CONCATENATED: filters.concatenated, MADE: made}
        self.filters = {**filters.FILTERS, **own}
        functions = {name: self.globals[name] for name in ("range", "dict", "namespace")}
        own = {name: getattr(filters, name) for name in ("raise_exception", "strftime_now")}
        self.globals = {**functions, **own}

    def compile_template(self, text):
        """A template of its text."""
        tree = Bounds().visit(self.parse(text))
        return self.template_class.from_code(self, self.compile(tree), dict(self.globals))

    def call_binop(self, context, operator, left, right):
        is_number = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "**" or (operator in "*%" and not is_number):
            raise SecurityError(f"{operator!r} of these is not for templates")
        check_size(size_of(left) + size_of(right))
        return made(super().call_binop(context, operator, left, right))

    def call(self, context, obj, *args, **kwargs):
        step()
        for value in (*args, *kwargs.values()):
            check_size(size_of(value))
        name = getattr(obj, "__name__", "")
        if isinstance(obj, (types.BuiltinMethodType, types.MethodType)) and name in BOUNDED:
            kwargs = {key: kwargs[key] for key in kwargs if not key.startswith("_")}  # Jinja's own
            return made(BOUNDED[name](obj.__self__, *args, **kwargs))
        return made(super().call(context, obj, *args, **kwargs))

    def is_safe_attribute(self, obj, attr, value):
        allowed = not callable(value) or attr in METHODS or attr in BOUNDED
        return allowed and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value):
        return None  # `is_safe_attribute` refuses it

    def unsafe_undefined(self, obj, attribute):
        raise SecurityError(f"{str(attribute)[:80]!r} of {type(obj).__name__} is out of its reach")

    def concat(self, parts):
        """The text of what was put out, piece by piece."""
        texts, size = [], 0
        for part in parts:
            size += len(part)
            check_size(size)
            texts.append(part)
        return "".join(texts)


@pass_context  # so that Jinja does not call it for constants before there is a budget
def as_text(context, value):
    return str(made(value))
