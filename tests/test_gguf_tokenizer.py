"""Tokenizers in GGUF files: words as llama.cpp cuts them, pieces as SentencePiece finds them."""

import json

import numpy as np
import pytest
import regex
import tokenizers

from tests import test_sentencepiece as spm
from zoo.checkpoints.formats import gguf
from zoo.tokenizers import BytePairTokenizer, Tokenizer

pytestmark = pytest.mark.backend_free

# As they stand in llama.cpp's llama-vocab.cpp: one expression after the other.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
ENDINGS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
THEIRS = {
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "llama-bpe": [rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{REST}"],
    "qwen2": [rf"{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{REST}"],
}
LINES = [*spm.LINES, "I'LL they'Ve\r\n\r\n  x  \n\ty", "12345 ١٢٣ ½", "\n\n\n", "a" * 2000]


def words_of(text, expressions):
    """What matches, and what is between."""
    parts = [text]
    for expression in expressions:
        cut = []
        for part in parts:
            end = 0
            for match in regex.finditer(expression, part):
                cut += [part[end : match.start()], match[0]]
                end = match.end()
            cut.append(part[end:])
        parts = [part for part in cut if part]
    return parts


@pytest.fixture(scope="module")
def trained():
    special = ("<|end|>", "<|user|>")
    return json.loads(BytePairTokenizer.train(LINES, 700, special).to_json())


def metadata_of(trained, words):
    """As llama.cpp's converter writes it."""
    vocab, merges = trained["model"]["vocab"], trained["model"]["merges"]
    tokens = sorted(vocab, key=vocab.get)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": words,
        "tokenizer.ggml.tokens": [*tokens, "<think>"],
        "tokenizer.ggml.token_type": np.array([3, 3] + [1] * (len(tokens) - 2) + [4], "int32"),
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in merges],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
    }


@pytest.mark.parametrize("words", THEIRS)
def test_words_are_those_of_llama_cpp(trained, words):
    contents, roles = gguf.read_tokenizer(metadata_of(trained, words), "m.gguf")
    tokenizer = Tokenizer.from_json(contents)
    assert roles == {"start": 1, "stop": 0}
    assert tokenizer.special_ids == {"<|end|>": 0, "<|user|>": 1}
    # The same merges, one word at a time.
    alone = tokenizers.Tokenizer.from_str(json.dumps(json.loads(contents) | {"added_tokens": []}))
    alone.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(False, use_regex=False)
    for line, ids in zip(LINES, tokenizer.encode(LINES), strict=True):
        text = alone.normalizer.normalize_str(line) if alone.normalizer else line
        cut = words_of(text, THEIRS[words])
        expected = [i for word in cut for i in alone.encode(word, add_special_tokens=False).ids]
        assert ids == expected, (line, cut)
        assert tokenizer.decode(ids) == text


def test_tokens_of_the_user_are_found_in_text_and_special_ones_are_not(trained):
    contents, _ = gguf.read_tokenizer(metadata_of(trained, "smollm"), "m.gguf")
    tokenizer = Tokenizer.from_json(contents)
    think = tokenizer.token_to_id("<think>")
    assert tokenizer.encode("a<think>b").count(think) == 1
    assert not {0, 1} & set(tokenizer.encode("<|end|><|user|>"))
    assert tokenizer.encode("<|end|>", allow_special=True) == [0]


@pytest.mark.parametrize("words", ["qwen2", "llama-bpe", "gpt-2"])
def test_transformers_reads_the_same_tokenizer_from_what_we_write(tmp_path, trained, words):
    pytest.importorskip("gguf")
    transformers = pytest.importorskip("transformers")
    from zoo.tensors import InMemory

    metadata = {"general.architecture": "llama", **metadata_of(trained, words)}
    size = {"block_count": 1, "embedding_length": 32, "attention.head_count": 1}
    metadata |= {f"llama.{key}": value for key, value in size.items()}
    gguf.write(tmp_path / "m.gguf", metadata, InMemory({"w": np.zeros((1, 32), "float32")}))
    with gguf.GgufFile(tmp_path / "m.gguf") as file:
        contents, _ = gguf.read_tokenizer(file.metadata, "m.gguf")
    tokenizer = Tokenizer.from_json(contents)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="m.gguf")
    lines = [line for line in LINES if words != "qwen2" or line.isascii()]  # without NFC there
    expected = theirs(lines, add_special_tokens=False)["input_ids"]
    assert tokenizer.encode(lines) == expected


@pytest.mark.parametrize(("name", "kind"), [("llama", "llama"), ("t5", "t5"), ("unigram", "t5")])
def test_pieces_are_those_of_sentencepiece(name, kind):
    data = spm.train(**spm.MODELS[name])
    processor = spm.theirs.SentencePieceProcessor(model_proto=data)
    model = spm.sentencepiece.parse(data, "m.model")
    unused = [spm.sentencepiece.Piece(f"[PAD{i}]", -1000.0, 5) for i in range(28)]
    pieces = [*model.pieces, *unused]
    metadata = {
        "model": kind,
        "tokens": [piece.text for piece in pieces],
        "scores": np.array([piece.score for piece in pieces], "float32"),
        "token_type": np.array([piece.type for piece in pieces], "int32"),
        "remove_extra_whitespaces": model.remove_extra_whitespaces,
        "eos_token_id": processor.eos_id(),
        "unknown_token_id": processor.unk_id(),
    }
    if model.charsmap:
        metadata["precompiled_charsmap"] = np.frombuffer(model.charsmap, "int8")
    metadata = {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}
    contents, roles = gguf.read_tokenizer(metadata, "m.gguf")
    assert roles == {"stop": processor.eos_id(), "unknown": processor.unk_id()}
    tokenizer = Tokenizer.from_json(contents)
    assert tokenizer.vocab_size == len(pieces)
    lines = [*spm.LINES, "a [PAD3]", "[PAD33]"]
    assert tokenizer.encode(lines) == processor.encode(lines)
