"""The same token ids and the same text for every library."""

import random
import re
from pathlib import Path

import numpy as np

SEED = 0
PROSE = Path(__file__).parents[1] / "examples" / "data"
SENTENCES = 5  # of a paragraph


def training_rows(sizes, rows, length):
    """Random token ids and their labels, each `(rows, length)`."""
    generator = np.random.default_rng(SEED)
    stream = generator.integers(0, sizes.vocab_size, (rows, length + 1), "int32")
    return np.ascontiguousarray(stream[:, :-1]), np.ascontiguousarray(stream[:, 1:])


def prompts(sizes, lengths):
    """A random list of token ids for each of the lengths."""
    generator = np.random.default_rng(SEED)
    return [generator.integers(0, sizes.vocab_size, n).tolist() for n in lengths]


def paragraphs(num_bytes):
    """English of about so many bytes: sentences of "Alice", drawn again and again."""
    prose = " ".join(path.read_text(encoding="utf-8") for path in sorted(PROSE.glob("*.txt")))
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(prose.split()))
    draw = random.Random(SEED)
    texts, size = [], 0
    while size < num_bytes:
        text = " ".join(draw.choices(sentences, k=SENTENCES))
        texts.append(text)
        size += len(text.encode())
    return texts
