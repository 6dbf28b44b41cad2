"""The same token ids and the same text for every library."""

import math
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np

SEED = 0
PROSE = Path(__file__).parents[1] / "examples" / "data"
SENTENCES = 5  # of a paragraph
MEDIAN_WORDS = 30  # of a passage; with the spread below, about one in fifteen has over 128 tokens
SPREAD = 0.6
RARE = 5  # words seen less often are spelled in pieces, so that a word has 1.2 tokens
ENDINGS = 400
START, END = 2, 3  # of a text: "[CLS]" and "[SEP]" in the vocabulary below


def training_rows(sizes, rows, length):
    """Random token ids and their labels, each `(rows, length)`."""
    generator = np.random.default_rng(SEED)
    stream = generator.integers(0, sizes.vocab_size, (rows, length + 1), "int32")
    return np.ascontiguousarray(stream[:, :-1]), np.ascontiguousarray(stream[:, 1:])


def prompts(sizes, lengths):
    """A random list of token ids for each of the lengths."""
    generator = np.random.default_rng(SEED)
    return [generator.integers(0, sizes.vocab_size, n).tolist() for n in lengths]


def training_pairs(sizes, rows, length):
    """Random token ids of sources and targets, and the targets' labels, each `(rows, length)`."""
    generator = np.random.default_rng(SEED)
    sources = generator.integers(0, sizes.vocab_size, (rows, length), "int32")
    stream = generator.integers(0, sizes.vocab_size, (rows, length + 1), "int32")
    return sources, np.ascontiguousarray(stream[:, :-1]), np.ascontiguousarray(stream[:, 1:])


def sources(sizes, lengths):
    """A random list of token ids for each of the lengths, of which the end token is the last."""
    return [[*ids[:-1], END] for ids in prompts(sizes, lengths)]


def pad(rows):
    """int32 `(rows, length)` with zeros after their ends, and a mask, True for real tokens."""
    lengths = np.array([len(row) for row in rows])
    is_real = np.arange(lengths.max()) < lengths[:, None]
    padded = np.zeros(is_real.shape, "int32")
    padded[is_real] = np.concatenate(rows)
    return padded, is_real


def paragraphs(num_bytes):
    """English of about so many bytes: sentences of "Alice", drawn again and again."""
    sentences = re.split(r"(?<=[.!?])\s+", _prose())
    draw = random.Random(SEED)
    texts, size = [], 0
    while size < num_bytes:
        text = " ".join(draw.choices(sentences, k=SENTENCES))
        texts.append(text)
        size += len(text.encode())
    return texts


def passages(count):
    """English of lengths as reviews or news items have: pieces of "Alice", drawn at random."""
    generator = np.random.default_rng(SEED)
    words = _prose().split()
    lengths = generator.lognormal(math.log(MEDIAN_WORDS), SPREAD, count).astype(int).clip(min=3)
    starts = generator.integers(0, len(words) - lengths)
    pairs = zip(starts, lengths, strict=True)
    return [" ".join(words[start : start + length]) for start, length in pairs]


def labels(sizes, count):
    """A random label for each of so many texts."""
    return np.random.default_rng(SEED).integers(0, sizes.num_labels, count, "int32")


def word_pieces(size):
    """A lower-case WordPiece vocabulary of this size, in the order of its ids.

    As in BERT's, places that nothing takes are named "[unused0]" and so on.
    """
    words = Counter(re.findall(r"\w+|[^\w\s]", _prose().lower()))
    characters = sorted({character for word in words for character in word})
    frequent = [word for word, n in words.most_common() if n >= RARE and len(word) > 1]
    endings = Counter()
    for word, n in words.items():
        for length in range(2, min(5, len(word))):
            endings[f"##{word[-length:]}"] += n
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*characters, *(f"##{character}" for character in characters), *frequent]
    pieces += [ending for ending, _ in endings.most_common(ENDINGS)]
    pieces += [f"[unused{i}]" for i in range(size - len(pieces))]
    return pieces[:size]


def _prose():
    prose = " ".join(path.read_text(encoding="utf-8") for path in sorted(PROSE.glob("*.txt")))
    return " ".join(prose.split())
