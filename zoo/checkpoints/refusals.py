"""Checkpoints of others that are no models of ours: said by their names."""

from zoo.checkpoints.families import FOREIGN
from zoo.checks import shown
from zoo.hub import suggestion

# What stores weights as small integers with scales beside them, each in a way of its own.
SCHEMES = {
    "bitsandbytes": "bitsandbytes",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "fp8": "FP8",
    "compressed-tensors": "compressed-tensors",
    "mxfp4": "MXFP4",
    "hqq": "HQQ",
    "aqlm": "AQLM",
    "eetq": "EETQ",
    "torchao": "torchao",
    "quanto": "Quanto",
}
ENDINGS = {  # of tensors' names
    ".qweight": "GPTQ or AWQ",
    ".SCB": "bitsandbytes",
    ".weight.absmax": "bitsandbytes",
    ".weight_scale": "compressed-tensors or FP8",
    "_scale_inv": "FP8",
}


def check_family(theirs, path):
    """Raise ValueError for a model_type without tables."""
    kind = theirs.get("model_type")
    if isinstance(kind, str) and kind in FOREIGN:
        return
    raise ValueError(
        f"{path}: model_type must be one of {', '.join(FOREIGN)}; got {shown(kind)}. "
        f"{suggestion(kind, FOREIGN)}Other families cannot be loaded."
    )


def check_scheme(theirs, path):
    """Raise ValueError for weights that are quantised."""
    scheme = theirs.get("quantization_config")
    if scheme is None:
        return
    kind = scheme.get("quant_method") if isinstance(scheme, dict) else scheme
    if kind is None and {"load_in_8bit", "load_in_4bit"} & set(scheme):
        kind = "bitsandbytes"  # which did not name itself at first
    name = SCHEMES.get(kind, shown(kind)) if isinstance(kind, str) else shown(kind)
    raise quantised(path, name, "quantization_config")


def check_names(names, path):
    """Raise ValueError for weights that are quantised, as the names of their tensors tell."""
    for name in names:
        for ending, scheme in ENDINGS.items():
            if name.endswith(ending):
                raise quantised(path, scheme, name[:80])


def quantised(path, scheme, reason):
    return ValueError(
        f"{path}: the weights are quantised by {scheme} ({reason}), which is not supported. Load "
        "the checkpoint that it was made from, in float32, float16 or bfloat16."
    )
