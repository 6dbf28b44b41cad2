"""Weights, gradients and optimizer of one model in parts, one in each process: FSDP2.

`fully_shard` keeps the parameters of a module in parts, gathers them where its forward and its
backward pass begin, lets them go where these end, and adds gradients up into the parts. Keras'
layers hold their variables in several places, so each block's variables get a bare module of their
own, and the rest another, within which a step is taken. A variable asks that module for its value:
the whole one during a step, else a part, of which reading it gathers the rest. An optimizer knows
the parts alone, as variables of their own.
"""

import contextlib
import functools
from collections import Counter

import keras
import torch
from torch import distributed

from zoo.backends.world import WORLD

# Those whose step treats every number of a weight alike.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion")


class Parameters(torch.nn.Module):
    """The parameters of some variables; whatever is called within it sees them whole."""

    def __init__(self, variables):
        super().__init__()
        for number, variable in enumerate(variables):
            self.register_parameter(f"p{number}", variable._value)

    def forward(self, function, *args, **kwargs):
        return function(*args, **kwargs)


class ShardedVariable(keras.Variable):
    """A variable of a model whose value is where `fully_shard` has put it."""

    @property
    def _value(self):
        value = self.parameter
        return value.detach().full_tensor() if is_part(value) else value

    def _direct_assign(self, value):
        parameter = self.parameter
        with torch.no_grad():
            if is_part(parameter):
                parameter.to_local().copy_(own_part(value, parameter))
            else:
                parameter.copy_(value)

    @property
    def parameter(self):
        """A `DTensor` between steps, with this process's part inside; a whole tensor in one."""
        module, name = self.place
        return module._parameters[name]


class Shards:
    """A model in parts.

    Args:
        model: a task, built.
        blocks: a list of layers, the weights of each of which are gathered by themselves.
    """

    def __init__(self, model, blocks):
        self.in_step = False
        self._parts = {}
        seen = Counter(id(weight) for block in blocks for weight in block.weights)
        inner = []
        for block in blocks:  # what several share is the root's
            inner.append(self._place([w for w in block.weights if seen[id(w)] == 1]))
            vars(block)["forward"] = self._within(inner[-1], block.forward)
        self.root = self._place([weight for weight in model.weights if seen[id(weight)] != 1])
        self.root.inner = torch.nn.ModuleList(inner)
        self.modules = [*inner, self.root]
        from torch.distributed.fsdp import fully_shard  # slow to import

        for layer in model.modules():  # Keras' own lists of whole parameters
            if "_torch_params" in layer._modules:
                layer._modules["_torch_params"] = torch.nn.ParameterDict()
        for module in self.modules:
            fully_shard(module)

    def _place(self, weights):
        weights = [weight for weight in weights if weight.value.is_floating_point()]
        module = Parameters(weights)
        for number, weight in enumerate(weights):
            del weight._value
            weight.__class__ = ShardedVariable
            weight.place = module, f"p{number}"
        return module

    def _within(self, module, forward):
        def call(*args, **kwargs):
            if self.in_step:
                return module(forward, *args, **kwargs)
            return forward(*args, **kwargs)

        return call

    @contextlib.contextmanager
    def step(self):
        """A context in which blocks gather what they need; all processes enter it."""
        self.in_step = True
        try:
            yield
        finally:
            self.in_step = False
            self.let_go()

    def let_go(self):
        for module in self.modules:
            module.reshard()

    def part_of(self, weight):
        """This process's part of a weight, as a variable of the same name and memory."""
        if id(weight) not in self._parts:
            local = torch.nn.Parameter(weight.parameter.to_local().detach())
            part = keras.Variable(local, dtype=weight.dtype, name=weight.name)
            part._value, part._path = local, weight.path
            part.whole, part.whole_shape = weight, weight.shape
            self._parts[id(weight)] = part
        return self._parts[id(weight)]

    def gradients_of(self, weights):
        """This process's parts of gradients that were added up; they are then gone."""
        found = []
        for weight in weights:
            gradient, weight.parameter.grad = weight.parameter.grad, None
            found.append(None if gradient is None else gradient.to_local())
        return found


def shard(model):
    """Put a model into parts before its first step; its optimizer must have learned nothing yet.

    Raises:
        ValueError: an optimizer that reads whole weights, scales its loss, or has begun.
    """
    if shards_of(model) is not None:
        return
    kinds = [kind.__name__ for kind in type(model.optimizer).__mro__]
    if not set(kinds) & set(ELEMENTWISE):
        raise ValueError(
            f"Weights in parts are trained by one of {', '.join(ELEMENTWISE)}, each number by "
            f"itself, in float32 or mixed_bfloat16; got {kinds[0]}. Choose one of them, or "
            "distribute() with whole weights."
        )
    if model.optimizer.built:
        raise ValueError(
            "An optimizer of weights in parts must start with them; this one has begun with whole "
            "weights. Call compile() again before fit."
        )
    vars(model)["_shards"] = Shards(model, model.backbone.stack)
    prepare_optimizer(model.optimizer)
    model.optimizer.build(model.optimized_variables)


def shards_of(model):
    """The `Shards` of a model; None of one that each process has whole."""
    return vars(model).get("_shards")


def is_part(parameter):
    """Whether a parameter is a `DTensor`."""
    return hasattr(parameter, "full_tensor")


def own_part(value, parameter):
    """This process's rows of a whole tensor, as `fully_shard` splits it."""
    value = torch.as_tensor(value, dtype=parameter.dtype, device=parameter.device)
    chunks = value.chunk(WORLD.size, 0)
    return chunks[WORLD.rank] if WORLD.rank < len(chunks) else value[:0]


def gathered(variable):
    """The whole tensor of a variable; all processes ask together."""
    whole = getattr(variable, "whole", None)
    if whole is None:
        return variable.value
    from torch.distributed.tensor import DTensor

    parameter = whole.parameter
    return DTensor.from_local(
        variable.value.detach(),
        parameter.device_mesh,
        parameter.placements,
        shape=parameter.shape,
        stride=parameter.stride(),
    ).full_tensor()


def prepare_optimizer(optimizer):
    """Let an optimizer of parts clip by whole norms, and tell of which weight it has parts."""
    add, finalize = optimizer.add_variable_from_reference, optimizer.finalize_variable_values

    def add_part(reference_variable, *args, **kwargs):
        made = add(reference_variable, *args, **kwargs)
        made.whole, made.whole_shape = reference_variable.whole, reference_variable.whole_shape
        return made

    optimizer.add_variable_from_reference = add_part
    optimizer.finalize_variable_values = lambda _: finalize(optimizer._trainable_variables)
    optimizer._clip_gradients = functools.partial(clipped, optimizer)


def clipped(optimizer, gradients):
    """Keras' ways of clipping, by the norms of whole gradients."""
    if optimizer.clipvalue:
        return [gradient.clamp(-optimizer.clipvalue, optimizer.clipvalue) for gradient in gradients]
    if not (optimizer.clipnorm or optimizer.global_clipnorm):
        return gradients
    norms = whole_norms(gradients)
    most = optimizer.clipnorm or optimizer.global_clipnorm
    if not optimizer.clipnorm:
        norms = torch.linalg.vector_norm(norms).expand(len(gradients))
    pairs = zip(gradients, norms, strict=True)
    return [gradient * torch.clamp(most / norm, max=1.0) for gradient, norm in pairs]


def whole_norms(gradients):
    """The norm of each gradient of which every process has a part, as a vector."""
    squares = torch.stack([torch.sum(gradient.float() ** 2) for gradient in gradients])
    distributed.all_reduce(squares)
    return squares.sqrt()
