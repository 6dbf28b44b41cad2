"""Tables that run both ways: how a library writes the models of one family.

A family is one file in `zoo/checkpoints/families` with a `Family`, all of it data:

*A table of names* maps our variables to their tensors, where `{i}` is the number of a block:

    "block_{i}/attention_norm/gamma": "encoder.layer.{i}.attention.output.LayerNorm.weight",
    "block_{i}/attention/qkv/kernel": ("...query.weight", "...key.weight", "...value.weight"),

Several tensors lie one after the other on our last axis, in equal parts. A kernel of theirs is
`(out, in)`, as PyTorch's linear layers have it. Anything else is said by a `Joined` or a subclass:
`Joined("h.{i}.attn.c_attn.weight")` is a kernel `(in, out)`, and

    JoinedKernels(
        ("...q_proj.weight", "...k_proj.weight", "...v_proj.weight"),
        shares=("num_heads", "num_kv_heads", "num_kv_heads"),
    )

has parts as large as these arguments of the backbone. A subclass overrides `their_shapes`,
`to_ours` and `to_theirs`, which get all of the backbone's arguments. A row counts where a model has
its variable, so that one table serves models with and without biases: what is not `optional` must
be there when a model is written.

*A table of config keys* maps arguments of our backbone to a key of their config.json: a `Key` where
the two say it differently, or an object with the methods of `Key`. Several arguments that theirs
says together are a tuple of names, with a `Keys`. `fixed` names keys that must have one value,
`constants` arguments of ours of which theirs has one value.

*A table of special tokens* maps the roles of `zoo.tokenizers.SpecialTokens` to their names for
them: `"eos_token"` is an id, "eos_token_id", in generation_config.json and config.json, and a text,
"eos_token", in tokenizer_config.json.

`engine` runs the first both ways, `configs` the second, `roles` the third. All refuse what is left
over, by its name. Several families may be made of one backbone: the first that can say all of a
model's arguments is the one that is written. A new one is named in `families/__init__.py`.
"""

import dataclasses
import itertools
import re

import numpy as np

from zoo.checks import shown

REQUIRED = object()  # of a key, which their config must have

# A classifier over a decoder: no bias, no dropout, and rows as the tokenizer's file has them.
DECODER_CLASSIFIER = {"pooling": "last", "head_bias": False}
SCORE = {"classifier/kernel": "score.weight"}

# What transformers calls the activations that ours have by another name, or several names.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu_squared",
    "relu6": "relu6",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "mish": "mish",
    "linear": "linear",
}
DECODER_ROLES = {"start": "bos_token", "stop": "eos_token", "padding": "pad_token"}
ENCODER_ROLES = {
    "start": "cls_token",
    "stop": "sep_token",
    "padding": "pad_token",
    "mask": "mask_token",
    "unknown": "unk_token",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """How a library writes the models of one family.

    Attributes:
        name: their `model_type`.
        family: what we call it, a key of `zoo.models.FAMILIES`.
        prefix: what the tensors of `body` are called by where there is a head.
        arguments: the table of config keys, `{argument of our backbone: key or Key}`.
        architectures: `{their class: the task it is saved for}`; of several for one task, the first
            is written.
        bare: the class without a head, whose tensors have no prefix.
        body: the table of names of that class, which may have heads of its own.
        heads: the table of the heads that are named alike for all tasks.
        heads_of: `{task: table}` of the heads that only files of that task have.
        roles: the table of special tokens.
        fixed: `{key of their config: the one value that our backbone follows}`.
        constants: `{argument of our backbone: the one value that theirs has}`.
        task_constants: `{task: {argument of our task: the one value that theirs has}}`.
        head_dropout: `{task: keys of their config}`; the first that is given counts, the first of
            all is written. A task without keys has none.
        num_labels: int, of a classifier whose config does not say.
        refused_heads: `{task: (names, reason)}` of heads that ours cannot stand for.
        tied: `{tensor that a file may have: the tensor it must equal}`, where our model has no
            variable for the first.
        given: `{tensor, with its prefix: arguments of our backbone -> its array}` of tensors that
            ours has no variable for. They must be that where a file has them; they are written with
            a head.
        unused: tensors that say nothing.
        optional: our variables that a model of theirs may lack, `block_{i}/...` among them.
    """

    name: str
    family: str
    prefix: str
    arguments: dict
    architectures: dict
    bare: str
    body: dict
    heads: dict = dataclasses.field(default_factory=dict)
    heads_of: dict = dataclasses.field(default_factory=dict)
    roles: dict = dataclasses.field(default_factory=dict)
    fixed: dict = dataclasses.field(default_factory=dict)
    constants: dict = dataclasses.field(default_factory=dict)
    task_constants: dict = dataclasses.field(default_factory=dict)
    head_dropout: dict = dataclasses.field(default_factory=dict)
    num_labels: int = 2
    refused_heads: dict = dataclasses.field(default_factory=dict)
    tied: dict = dataclasses.field(default_factory=dict)
    given: dict = dataclasses.field(default_factory=dict)
    unused: tuple = ()
    optional: tuple = ()

    def table(self, task):
        """The table of names of a file that was saved for a task: the task's own heads go first."""
        return {**self.body, **self.heads, **self.heads_of.get(task, {})}

    def is_inner(self, target, task):
        """Whether a row of that table is of the class without a head."""
        return target in self.body and target not in self.heads_of.get(task, {})

    def class_for(self, task):
        """Their class for a task, or None."""
        return next((cls for cls, its in self.architectures.items() if its == task), None)


class Key:
    """A key of their config for an argument of ours.

    Args:
        name: the key.
        default: our value where their config is silent; it must not be, without one.
        values: `{theirs: ours}` where the two say it differently; of several of theirs for one of
            ours, the first is written.
        offset: int, by how much their number is larger than ours.
        copies: further keys that are written with the same value.
        is_read: bool; False for what is written alone, so that our default stays.
    """

    def __init__(self, name, default=REQUIRED, values=None, offset=0, copies=(), is_read=True):
        self.name = name
        self.default = default
        self.values = values
        self.offset = offset
        self.copies = copies
        self.is_read = is_read

    def to_ours(self, theirs):
        """Our value, of their whole config; raises ValueError with the reason alone."""
        value = theirs.get(self.name)
        if value is None:
            if self.default is REQUIRED:
                raise ValueError(f"it must give {self.name!r}")
            return self.default
        if self.values is not None:
            if not isinstance(value, (str, bool, int)) or value not in self.values:
                known = ", ".join(map(repr, self.values))
                raise ValueError(f"{self.name} must be one of {known}; got {shown(value)}")
            return self.values[value]
        return value - self.offset if type(value) is int else value  # others are refused as ours

    def to_theirs(self, value):
        """`{key: value}` of their config; raises ValueError with the reason alone."""
        if value is None and self.default is REQUIRED:
            raise ValueError("it must be given")
        if self.values is not None:
            found = [theirs for theirs, ours in self.values.items() if ours == value]
            if not found:
                known = ", ".join(map(str, dict.fromkeys(self.values.values())))
                raise ValueError(f"it must be one of {known}; got {shown(value)}")
            value = found[0]
        elif value is not None and self.offset:
            value += self.offset
        return dict.fromkeys((self.name, *self.copies), value)


class Keys:
    """Keys of their config for several arguments of ours; a base class."""

    is_read = True

    def to_ours(self, theirs):
        """`{argument: value}` of their whole config; raises ValueError with the reason alone."""
        raise NotImplementedError

    def to_theirs(self, arguments):
        """`{key: value}` of all arguments of ours; raises ValueError with the reason alone."""
        raise NotImplementedError


class Unsaid:
    """An argument that acts in training alone, and of which theirs says nothing."""

    is_read = False

    def to_theirs(self, value):
        return {}


def keys(table):
    """A table of config keys with a `Key` for each text."""
    return {name: Key(key) if isinstance(key, str) else key for name, key in table.items()}


class Joined:
    """Tensors that lie one after the other on our last axis, otherwise as ours is.

    Args:
        names: of the tensors, a tuple, or one str.
        shares: for each, the argument of the backbone that says how large its part is beside the
            others; None for equal parts.

    Attributes:
        names: a tuple.
    """

    def __init__(self, names, shares=None):
        self.names = (names,) if isinstance(names, str) else tuple(names)
        self.shares = shares

    def ends(self, size, arguments):
        """Where on our last axis each part ends, the last one left out."""
        parts = (
            [arguments[share] for share in self.shares] if self.shares else [1] * len(self.names)
        )
        return [size * end // sum(parts) for end in itertools.accumulate(parts[:-1])]

    def their_shapes(self, shape, arguments):
        """The shapes of their tensors, of which ours is `shape`."""
        ends = [0, *self.ends(shape[-1], arguments), shape[-1]]
        return [(*shape[:-1], end - start) for start, end in itertools.pairwise(ends)]

    def to_ours(self, arrays, arguments):
        """Our array of theirs."""
        return np.concatenate(arrays, axis=-1) if len(arrays) > 1 else arrays[0]

    def to_theirs(self, array, arguments):
        """Their arrays of ours."""
        return np.split(array, self.ends(array.shape[-1], arguments), axis=-1)


class JoinedKernels(Joined):
    """As `Joined`, of kernels that are stored `(out, in)`; ours are `(in, out)`."""

    def their_shapes(self, shape, arguments):
        return [their[::-1] for their in super().their_shapes(shape, arguments)]

    def to_ours(self, arrays, arguments):
        return super().to_ours([array.T for array in arrays], arguments)

    def to_theirs(self, array, arguments):
        return [part.T for part in super().to_theirs(array, arguments)]


def rules(table):
    """A table with a `Joined` for each text or tuple of texts."""
    return {target: rule(target, source) for target, source in table.items()}


def rule(target, source):
    if not isinstance(source, (str, tuple)):
        return source
    return (JoinedKernels if target.endswith("/kernel") else Joined)(source)


def match(pattern, name):
    """The number that `{i}` of a pattern stands for in a name; -1 without one, None if no match."""
    if "{i}" not in pattern:
        return -1 if pattern == name else None
    start, end = pattern.split("{i}", 1)
    found = re.fullmatch(rf"{re.escape(start)}(\d+){re.escape(end)}", name)
    return int(found[1]) if found else None


def numbered(name, i):
    """A pattern with the number of a block."""
    return name.replace("{i}", str(i))
