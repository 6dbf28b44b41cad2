"""What decoders with rotary positions declare and check alike."""

from zoo.arguments import Integer, Number
from zoo.layers.rotary import SCALINGS, scaling_of


class RotaryScaling:
    """What `RotaryEmbedding` takes as `scaling`."""

    expected = (
        f"an object whose kind is one of {', '.join(SCALINGS)}, with that kind's numbers, such as "
        '{"kind": "linear", "factor": 2.0}'
    )

    def fits(self, value):
        try:
            scaling_of(value)
        except ValueError:
            return False
        return value is not None


ARGUMENTS = {
    "rotary_dim": Integer(2, 2**12),
    "rotary_base": Number(2, 2**40),
    "rotary_scaling": RotaryScaling(),
}


def head_dim_of(arguments):
    """Features of a head, or None where arguments do not tell."""
    num_heads, hidden_dim = arguments.get("num_heads"), arguments.get("hidden_dim")
    known = hidden_dim // num_heads if num_heads and hidden_dim else None
    return arguments.get("head_dim") or known


def check_rotary(arguments, source):
    """Raise ValueError unless what is turned is a whole number of pairs of a head's features."""
    head_dim, rotary_dim = head_dim_of(arguments), arguments.get("rotary_dim")
    if rotary_dim is None and head_dim is not None and head_dim % 2:
        raise ValueError(
            f"{source}: head_dim must be even, as rotary positions turn pairs of features; got "
            f"{head_dim}. It is hidden_dim / num_heads, unless it is given."
        )
    if rotary_dim is not None and (rotary_dim % 2 or rotary_dim > (head_dim or rotary_dim)):
        raise ValueError(
            f"{source}: rotary_dim must be even and at most head_dim, {head_dim}; got {rotary_dim}."
        )


def check_groups(arguments, source):
    """Raise ValueError unless each head of keys serves as many of queries."""
    num_heads, num_kv_heads = arguments.get("num_heads"), arguments.get("num_kv_heads")
    if num_heads and num_kv_heads and num_heads % num_kv_heads:
        raise ValueError(
            f"{source}: num_heads must be a multiple of num_kv_heads; got {num_heads} and "
            f"{num_kv_heads}."
        )
