"""Tokenizers: round trips, offsets, special tokens, training, files, and wrong text."""

import copy
import functools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings

from tests.tokenizers import TEXTS, any_text, gpt2
from zoo.tokenizers import BytePairTokenizer, Tokenizer, WordPieceTokenizer
from zoo.tokenizers.streaming import BYTE_OF

backend_free = pytest.mark.backend_free


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
        (lambda: BytePairTokenizer.train(["a"], 300, ("x", "x")), ValueError, "different names"),
        (lambda: WordPieceTokenizer.train(TEXTS, 20), ValueError, "at least that; got 20"),
        (lambda: WordPieceTokenizer.train([b"a"], 99), TypeError, "got bytes at position 0"),
        (lambda: Tokenizer.load("/nowhere"), FileNotFoundError, "No tokenizer at '/nowhere'"),
    ],
)
def test_errors_of_training_and_loading(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_files_are_read_where_paths_are_given(tmp_path, ends):
    paths = []
    for number, text in enumerate(TEXTS):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_bytes(b"\xef\xbb\xbf" * (number % 2) + text.encode())
    assert BytePairTokenizer.train(paths, 320) == BytePairTokenizer.train(TEXTS, 320)
    assert WordPieceTokenizer.train(iter(paths), 160) == WordPieceTokenizer.train(TEXTS, 160)
    assert BytePairTokenizer.train(paths[0], 300) == BytePairTokenizer.train(TEXTS[:1], 300)
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_bytes(ends.join(["[UNK]", "dark", "night", ""]).encode())
    assert WordPieceTokenizer.from_vocab(vocabulary).encode("dark night") == [1, 2]


@pytest.mark.parametrize("tokenizer", [BytePairTokenizer, WordPieceTokenizer])
def test_the_name_of_a_file_is_not_its_text(tmp_path, tokenizer):
    path = str(tmp_path / "corpus.txt")
    with open(path, "w") as file:
        file.write("dark night")
    for texts in (path, [path], iter([path, "more"])):
        with pytest.raises(ValueError, match=r"corpus\.txt' is the name of a file, not its text\."):
            tokenizer.train(texts, 300)
    with pytest.raises(ValueError, match="Pass the files, such as sorted"):
        tokenizer.train([tmp_path], 300)
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        tokenizer.train([tmp_path / "none.txt"], 300)
    (tmp_path / "latin.txt").write_bytes(b"one\ntw\xf6")
    with pytest.raises(ValueError, match=r"latin\.txt, line 2: the file must be UTF-8"):
        tokenizer.train([tmp_path / "latin.txt"], 300)


# What is unknown


def test_much_that_is_unknown_is_warned_of_once():
    tokenizer = WordPieceTokenizer.from_vocab(["[UNK]", "to"])
    rows = tokenizer.encode(["一二三四", "to", ""])
    assert tokenizer.unknown_share(rows) == 0.8
    assert tokenizer.unknown_share(np.array([[1, 1, 0, 0]])) == 0.5
    assert tokenizer.unknown_share([]) == tokenizer.unknown_share([[]]) == 0
    tokenizer.warn_of_unknown(rows[1:])
    with pytest.warns(UserWarning, match="80% of the tokens .* are unknown") as caught:
        tokenizer.warn_of_unknown(rows)
    assert [warning.filename for warning in caught] == [__file__]
    tokenizer.warn_of_unknown(rows)  # a second warning would be an error


def test_without_an_unknown_token_nothing_is_unknown(bpe):
    rows = bpe.encode(["一二三四"])
    assert bpe.unknown_share(rows) == 0
    bpe.warn_of_unknown(rows)


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
