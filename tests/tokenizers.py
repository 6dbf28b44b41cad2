"""Texts to train toy tokenizers on, and GPT-2's own tokenizer."""

import functools
import gzip
import pathlib

from hypothesis import strategies as st

from zoo.tokenizers import BytePairTokenizer
from zoo.tokenizers.streaming import BYTE_OF

DATA = pathlib.Path(__file__).parent / "data"
TEXTS = [
    "It was a dark and stormy night; the rain fell in torrents.",
    "The wind was rising, and the night was dark — very dark.",
    "A naïve café: 日本語 🙂 and 12,345 things it's got.",
] * 4
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@functools.cache
def gpt2():
    """GPT-2's tokenizer. Its ids are the 256 bytes, then the merges in order, then the end."""
    merges = gzip.decompress((DATA / "gpt2_merges.txt.gz").read_bytes()).decode("utf-8").split("\n")
    tokens = [*BYTE_OF, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return BytePairTokenizer.from_vocab_and_merges(vocabulary, merges), vocabulary, merges
