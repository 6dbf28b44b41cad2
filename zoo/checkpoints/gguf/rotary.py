"""What GGUF files say of rotary positions: keys, and for Llama 3 a tensor of factors."""

import math

import numpy as np

from zoo.checkpoints.tables import Keys
from zoo.checks import shown

KIND, FACTOR = "rope.scaling.type", "rope.scaling.factor"
ORIGINAL, GAIN = "rope.scaling.original_context_length", "rope.scaling.attn_factor"
FACTORS = "rope_freqs.weight"  # the tensor: what each pair turns slower by

# What all of Llama 3.1 to 3.3 has; a file tells only what comes of it.
LLAMA3 = {"kind": "llama3", "low": 1.0, "high": 4.0, "original_length": 8192}


class Rotary(Keys):
    """`rotary_base` and `rotary_scaling`."""

    def to_ours(self, theirs):
        base = theirs.get("rope.freq_base", 10_000.0)
        return {"rotary_base": base, "rotary_scaling": scaling_of(theirs, base)}

    def to_theirs(self, arguments):
        scaling, found = arguments["rotary_scaling"], {"rope.freq_base": arguments["rotary_base"]}
        if scaling is None or scaling["kind"] == "llama3":  # which is a tensor
            return found
        if scaling["kind"] == "dynamic":
            raise ValueError("llama.cpp knows no dynamic scaling")
        found |= {KIND: scaling["kind"], FACTOR: float(scaling["factor"])}
        if scaling["kind"] == "yarn":
            unusual = set(scaling) - {"kind", "factor", "original_length"}
            if unusual:
                raise ValueError(f"llama.cpp's YaRN has no {', '.join(sorted(unusual))}")
            found[ORIGINAL] = scaling["original_length"]
        return found


def scaling_of(theirs, base):
    """Our `rotary_scaling` of a file's keys and tensors."""
    kind, factors = theirs.get(KIND, "none"), theirs.get(FACTORS)
    if factors is not None:
        return llama3_of(factors, theirs, base)
    if kind == "none":
        return None
    if kind == "linear":
        return {"kind": "linear", "factor": theirs.get(FACTOR)}
    if kind != "yarn":
        raise ValueError(f"its {KIND} must be none, linear or yarn; got {shown(kind)}")
    factor, gain = theirs.get(FACTOR), theirs.get(GAIN, 1.0)
    original = theirs.get(ORIGINAL, theirs.get("context_length"))
    scaling = {"kind": "yarn", "factor": factor, "original_length": original}
    if gain != 1.0 and isinstance(factor, (int, float)) and factor > 1:
        scaling["attention_factor"] = gain * (0.1 * math.log(factor) + 1)
    return scaling


def llama3_of(factors, theirs, base):
    """The scaling that a tensor of factors comes of."""
    factor = float(np.max(factors, initial=0))
    if theirs.get(KIND, "none") == "none" and np.isfinite(factor) and factor > 1:
        scaling = {**LLAMA3, "factor": round(factor, 3)}
        expected = factors_of(scaling, 2 * factors.size, base)
        if np.allclose(factors, expected, rtol=1e-3):
            return scaling
    raise ValueError(
        f"its tensor {FACTORS!r} must hold the factors of Llama 3, from 1 to one that all long "
        f"waves have; got factors up to {factor:.4g}"
    )


def factors_of(scaling, dim, base):
    """The factors of a Llama 3 scaling, float32 `(dim / 2,)`; see `zoo.layers.rotary.Llama3`."""
    frequency = np.exp(-math.log(base) / dim * np.arange(0, dim, 2))
    times = frequency * scaling["original_length"] / (2 * math.pi)
    kept = np.clip((times - scaling["low"]) / (scaling["high"] - scaling["low"]), 0, 1)
    return (1 / (kept + (1 - kept) / scaling["factor"])).astype("float32")
