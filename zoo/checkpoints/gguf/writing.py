"""A task as a GGUF file, which llama.cpp and all that is made of it run."""

import numpy as np

from zoo.checkpoints.configs import their_backbone_arguments
from zoo.checkpoints.engine import TheirTensors
from zoo.checkpoints.formats import gguf
from zoo.checkpoints.gguf.families import ARCHITECTURES
from zoo.checkpoints.gguf.rotary import FACTORS, factors_of
from zoo.checkpoints.gguf.vocabulary import tokenizer_metadata
from zoo.checkpoints.rows import all_arguments
from zoo.checks import shown
from zoo.tensors import Tensors

KINDS = {None: "F32", "float16": "F16", "bfloat16": "BF16", "q8_0": "Q8_0"}  # by weights_dtype
FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}  # llama.cpp's codes


def write_file(model, path, weights_dtype=None):
    """Write a task as a GGUF file, in one step.

    Args:
        model: a `zoo.CausalLM` with a tokenizer.
        path: a Path.
        weights_dtype: a key of `KINDS`; `"q8_0"` is eight bits a number, in blocks with a scale.

    Raises:
        ValueError: a model or a tokenizer that llama.cpp has not.
    """
    if weights_dtype not in KINDS:
        raise ValueError(
            f"The weights' dtype must be one of {', '.join(map(repr, KINDS))}; got "
            f"{shown(weights_dtype)}."
        )
    kind = KINDS[weights_dtype]
    family, said = architecture_of(model)
    metadata = {
        "general.architecture": family.name,
        "general.name": path.stem,
        "general.file_type": FILE_TYPES[kind],
        **({"general.quantization_version": 2} if kind == "Q8_0" else {}),
        **{f"{family.name}.{key}": value for key, value in said.items()},
        **tokenizer_metadata(model),
    }
    with TheirTensors(model, family) as tensors:
        gguf.write(path, metadata, WithFactors(tensors, model.backbone), kind)


def architecture_of(model):
    """The `Family` that a task can be written as, and what a file says of it."""
    ours = getattr(model.backbone, "family", None)
    reasons = [] if model.task_name == "causal_lm" else [f"a {model.task_name} task is none"]
    for family in ARCHITECTURES.values() if not reasons else ():
        if family.family != ours:
            continue
        try:
            said = their_backbone_arguments(model.backbone, family)
        except ValueError as error:
            reasons.append(f"{family.name}: {error}")
        else:
            return family, {key: value for key, value in said.items() if value is not None}
    raise ValueError(
        f"A GGUF file holds a causal language model of {', '.join(ARCHITECTURES)}, and this "
        f"{type(model).__name__} over a {type(model.backbone).__name__} is none "
        f"({'; '.join(reasons) or 'another family'}). zoo.save(model, folder) writes a preset."
    )


class WithFactors(Tensors):
    """Their tensors, and Llama 3's factors of frequencies beside them."""

    def __init__(self, tensors, backbone):
        self.tensors = tensors
        arguments = all_arguments(backbone)
        scaling = arguments.get("rotary_scaling")
        self.factors = None
        if scaling is not None and scaling["kind"] == "llama3":
            dim, base = arguments["head_dim"], arguments["rotary_base"]
            self.factors = factors_of(scaling, dim, base)
        self.names = (*([] if self.factors is None else [FACTORS]), *tensors.names)

    def shape(self, name):
        return self.factors.shape if name == FACTORS else self.tensors.shape(name)

    def dtype(self, name):
        return np.dtype("float32") if name == FACTORS else self.tensors.dtype(name)

    def read(self, name):
        return self.factors if name == FACTORS else self.tensors.read(name)

    def close(self):
        self.tensors.close()
