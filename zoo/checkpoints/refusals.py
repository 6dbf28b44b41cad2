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
    name = SCHEMES.get(kind, shown(kind)) if isinstance(kind, str) else shown(kind)
    raise ValueError(
        f"{path}: the weights are quantised by {name} (quantization_config), which is not "
        "supported. Load the checkpoint that it was made from, in float32, float16 or bfloat16."
    )
