"""The table by which SentencePiece normalises text: checked before a library walks through it.

A double array trie of UTF-8 keys, four bytes a unit, and the replacements, each ended by a zero:
https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
"""

import numpy as np

MAX_BYTES = 2**20  # Unicode's compatibility forms take a quarter of it
MAX_KEY = 64  # bytes of a text that is replaced
MAX_REPLACEMENT = 128  # bytes; the longest of Unicode's are 33
ROWS = 1024  # nodes that are looked at together, which bounds the memory


def check(data):
    """Refuse a table that leads outside of itself.

    Raises:
        ValueError: what is wrong with it.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"must be at most {MAX_BYTES} bytes; got {len(data)}")
    size = int.from_bytes(data[:4], "little")
    if len(data) < 5 or size % 4 or not 1024 <= size <= len(data) - 5:
        raise ValueError("has no sound trie")
    units = np.frombuffer(data, "<u4", size // 4, 4)
    texts = data[4 + size :]
    values = leaves(units)
    texts.decode()
    if texts[-1]:
        raise ValueError("ends within a replacement")
    bytes_of = np.frombuffer(texts, "uint8")
    if len(values) and values.max() >= len(texts):
        raise ValueError("has a replacement outside of itself")
    if (bytes_of[values] & 0xC0 == 0x80).any():
        raise ValueError("has a replacement that begins within a character")
    ends = np.flatnonzero(bytes_of == 0)
    if len(values) and (ends[np.searchsorted(ends, values)] - values).max() > MAX_REPLACEMENT:
        raise ValueError(f"has a replacement over {MAX_REPLACEMENT} bytes")


def leaves(units):
    """The values that any key can lead to; no step leads outside of the units."""
    labels = np.arange(1, 256, dtype="uint32")
    seen = np.zeros(len(units), bool)
    nodes = np.array([offset(units[0])], "uint32")
    found = []
    for _ in range(MAX_KEY + 1):
        if (nodes | 255).max(initial=0) >= len(units):
            raise ValueError("has a trie that leads outside of itself")
        nodes = np.unique(nodes[~seen[nodes]])
        if not len(nodes):
            return np.concatenate([np.zeros(0, "int64"), *found])
        seen[nodes] = True
        following = []
        for start in range(0, len(nodes), ROWS):
            places = nodes[start : start + ROWS, None] ^ labels
            reached = units[places]
            places, reached = (a[reached & 0x800000FF == labels] for a in (places, reached))
            children = places ^ offset(reached)
            if children.max(initial=0) >= len(units):
                raise ValueError("has a trie that leads outside of itself")
            found.append((units[children[reached >> 8 & 1 == 1]] & 0x7FFFFFFF).astype("int64"))
            following.append(children)
        nodes = np.concatenate(following)
    raise ValueError(f"has keys over {MAX_KEY} bytes")


def offset(unit):
    """How far a unit's children are, as a number to be xor-ed."""
    return (unit >> 10) << ((unit & (1 << 9)) >> 6)
