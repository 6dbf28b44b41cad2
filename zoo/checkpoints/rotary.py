"""What transformers' decoders say of positions and windows, both ways."""

import math

from zoo.checkpoints.tables import Keys
from zoo.checks import shown

KINDS = {  # of rope_scaling: `{field of ours: key of theirs}`
    "linear": {"factor": "factor"},
    "dynamic": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low": "low_freq_factor",
        "high": "high_freq_factor",
        "original_length": "original_max_position_embeddings",
    },
    "yarn": {
        "factor": "factor",
        "original_length": "original_max_position_embeddings",
        "fast": "beta_fast",
        "slow": "beta_slow",
        "attention_factor": "attention_factor",
        "whole_pairs": "truncate",
    },
}
LENGTH = "max_position_embeddings"
SLIDING, FULL = "sliding_attention", "full_attention"


class Rotary(Keys):
    """`rotary_base` and `rotary_scaling`, of a "rope_theta" and a "rope_scaling".

    transformers 5 writes "rope_parameters" with both in it; all versions read the other two.

    Args:
        base: float, where their config is silent.
    """

    def __init__(self, base=10_000.0):
        self.base = base

    def to_ours(self, theirs):
        said = parameters(theirs)
        if said.get("partial_rotary_factor", 1.0) != 1.0:
            raise ValueError("its partial_rotary_factor must be 1: whole heads are turned")
        base = said.get("rope_theta", theirs.get("rope_theta"))
        return {
            "rotary_base": self.base if base is None else base,
            "rotary_scaling": scaling_of(said, theirs),
        }

    def to_theirs(self, arguments):
        return {
            "rope_theta": arguments["rotary_base"],
            "rope_scaling": their_scaling(arguments["rotary_scaling"], arguments["max_length"]),
        }


class PartialRotary(Rotary):
    """As `Rotary`, with `rotary_dim`, by GPT-NeoX' names: "rotary_emb_base" and "rotary_pct"."""

    def to_ours(self, theirs):
        said = parameters(theirs)
        base = said.get("rope_theta", theirs.get("rotary_emb_base"))
        share = said.get("partial_rotary_factor", theirs.get("rotary_pct", 0.25))
        sizes = theirs.get("hidden_size"), theirs.get("num_attention_heads")
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ValueError("its hidden_size and num_attention_heads must be numbers above 0")
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise ValueError(f"its rotary_pct must be over 0 and up to 1; got {shown(share)}")
        return {
            "rotary_base": self.base if base is None else base,
            "rotary_scaling": scaling_of(said, theirs),
            "rotary_dim": int(sizes[0] // sizes[1] * share),
        }

    def to_theirs(self, arguments):
        head_dim = arguments["hidden_dim"] // arguments["num_heads"]
        rotary_dim = arguments["rotary_dim"] or head_dim
        share = rotary_dim / head_dim
        if int(head_dim * share) < rotary_dim:  # they round down
            share = math.nextafter(share, 1)
        return {
            "rotary_emb_base": arguments["rotary_base"],
            "rotary_pct": share,
            "rope_scaling": their_scaling(arguments["rotary_scaling"], arguments["max_length"]),
        }


def parameters(theirs):
    """Their rope_parameters, or the rope_scaling of older files; perhaps empty."""
    for key in ("rope_parameters", "rope_scaling"):
        said = theirs.get(key)
        if said is None:
            continue
        if not isinstance(said, dict) or any(isinstance(value, dict) for value in said.values()):
            raise ValueError(f"its {key} must be an object of numbers; got {shown(said)}")
        return {name: value for name, value in said.items() if value is not None}
    return {}


def scaling_of(said, theirs):
    """Our `rotary_scaling` of their parameters."""
    kind = said.get("rope_type", said.get("type", "default"))
    if kind == "default":
        return None
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(["default", *KINDS])
        raise ValueError(f"its rope_type must be one of {known}; got {shown(kind)}")
    scaling = {"kind": kind}
    scaling |= {ours: said[key] for ours, key in KINDS[kind].items() if key in said}
    if kind != "linear":
        scaling.setdefault("original_length", theirs.get(LENGTH))
    if kind == "yarn" and "attention_factor" not in scaling:
        scaling |= gain_of(said)
    return scaling


def gain_of(said):
    """YaRN's gain by the two numbers of DeepSeek, which `attention_factor` goes before."""
    numbers = [said.get(key) for key in ("factor", "mscale", "mscale_all_dim")]
    if not all(isinstance(number, (int, float)) and number > 0 for number in numbers):
        return {}
    factor, *scales = numbers
    if factor <= 1:
        return {"attention_factor": 1.0}
    one, other = (0.1 * scale * math.log(factor) + 1 for scale in scales)
    return {"attention_factor": one / other}


def their_scaling(scaling, max_length):
    """Their rope_scaling of ours."""
    if scaling is None:
        return None
    kind = scaling["kind"]
    if kind == "dynamic" and scaling["original_length"] != max_length:
        raise ValueError(
            f"a dynamic scaling begins at max_length there, {max_length}, and here at "
            f"{scaling['original_length']}"
        )
    found = {key: scaling[ours] for ours, key in KINDS[kind].items() if ours in scaling}
    return {"rope_type": kind, **found}


# Which layers have a window, and which know positions


def layers(arguments, name):
    """A pattern written out for each layer."""
    pattern = arguments[name]
    return [bool(pattern[i % len(pattern)]) for i in range(arguments["num_layers"])]


def flags(theirs, key, known):
    """A list of theirs as a pattern of ours: `known` says what each entry means."""
    entries = theirs[key]
    is_list = isinstance(entries, list) and entries
    if not is_list or not all(isinstance(e, (str, int)) and e in known for e in entries):
        names = ", ".join(map(repr, known))
        raise ValueError(f"its {key} must be a list of {names}; got {shown(entries)}")
    return [known[entry] for entry in entries]


class NoPattern(Keys):
    """`rotary_pattern`, of a model whose layers all know positions."""

    is_read = False

    def to_theirs(self, arguments):
        if not all(layers(arguments, "rotary_pattern")):
            raise ValueError("all layers must know positions")
        return {}


class NoWindow(Keys):
    """`sliding_window` and `sliding_pattern`, of a model that has none."""

    is_read = False

    def to_theirs(self, arguments):
        window = arguments["sliding_window"]
        hides = window is not None and window < arguments["max_length"]
        if hides and any(layers(arguments, "sliding_pattern")):
            raise ValueError(f"it has no window; got {window}")
        return {}


class OneWindow(Keys):
    """The same, of Mistral: a window for all layers."""

    usual = 4096  # where the config is silent; null is none

    def to_ours(self, theirs):
        return {"sliding_window": theirs.get("sliding_window", self.usual)}

    def to_theirs(self, arguments):
        window = arguments["sliding_window"]
        if window is None or not all(layers(arguments, "sliding_pattern")):
            raise ValueError("all layers must have a window")
        return {"sliding_window": window}


class Windows(Keys):
    """The same, of Qwen and SmolLM3, by "use_sliding_window" and a list of the layers' types.

    Args:
        usual_layers: from their config to a list of bools, where it has no "layer_types".
    """

    def __init__(self, usual_layers):
        self.usual_layers = usual_layers

    def to_ours(self, theirs):
        if not theirs.get("use_sliding_window", False):
            return {}
        if theirs.get("layer_types") is None:
            pattern = self.usual_layers(theirs)
        else:
            pattern = flags(theirs, "layer_types", {SLIDING: True, FULL: False})
        return {
            "sliding_window": theirs.get("sliding_window", OneWindow.usual),
            "sliding_pattern": pattern,
        }

    def to_theirs(self, arguments):
        slides = layers(arguments, "sliding_pattern")
        if arguments["sliding_window"] is None or not any(slides):
            return {"use_sliding_window": False}
        return {
            "use_sliding_window": True,
            "sliding_window": arguments["sliding_window"],
            "max_window_layers": slides.index(True),
            "layer_types": [SLIDING if here else FULL for here in slides],
        }


def num_layers(theirs):
    count = theirs.get("num_hidden_layers")
    if type(count) is not int or not 0 < count <= 2**8:
        raise ValueError(f"its num_hidden_layers must be from 1 to 256; got {shown(count)}")
    return count


def last_layers(theirs):
    """Qwen's: those from "max_window_layers" on."""
    first = theirs.get("max_window_layers", 28)
    if type(first) is not int:
        raise ValueError(f"its max_window_layers must be a number; got {shown(first)}")
    return [i >= first for i in range(num_layers(theirs))]


class SomeRotary(Keys):
    """`rotary_pattern`, of SmolLM3's "no_rope_layers": 1 for those that know positions."""

    def to_ours(self, theirs):
        return {"rotary_pattern": rotary_layers(theirs)}

    def to_theirs(self, arguments):
        return {"no_rope_layers": [int(one) for one in layers(arguments, "rotary_pattern")]}


def rotary_layers(theirs):
    if theirs.get("no_rope_layers") is not None:
        return flags(theirs, "no_rope_layers", {1: True, 0: False})
    interval = theirs.get("no_rope_layer_interval", 4)
    if type(interval) is not int or interval < 1:
        raise ValueError(f"its no_rope_layer_interval must be above 0; got {shown(interval)}")
    return [(i + 1) % interval != 0 for i in range(num_layers(theirs))]


def layers_without_positions(theirs):
    """SmolLM3's usual layers with a window."""
    return [not one for one in rotary_layers(theirs)]
