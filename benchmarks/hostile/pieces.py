"""Folders with SentencePiece models that lie."""

import json
import re

from benchmarks.hostile import gguf
from benchmarks.hostile.row import Row
from zoo.checkpoints.pieces import read_fairseq, read_marian, read_pieces

ORDERED = (gguf.UNK, gguf.piece("<s>", 0.0, 3), gguf.piece("</s>", 0.0, 3))


def model(kind=1, pieces=ORDERED):
    """A SentencePiece model of few pieces: unigram, or BPE if `kind` is 2."""
    words = [gguf.piece(text, -1.0) for text in ("\u2581the", "\u2581", *"abcdefgh")]
    return gguf.spm([*pieces, *words], gguf.field(3, kind) + gguf.field(40, 0))


MARIAN = {"source.spm": model(), "target.spm": model()}
VOCABULARY = {"</s>": 0, "<unk>": 1, "▁the": 2, "<pad>": 3}
PIECES = {
    "no integer ids": (read_marian, {**MARIAN, "vocab.json": {"a": "0"}}, "a whole number"),
    "ids with gaps": (read_marian, {**MARIAN, "vocab.json": {"<unk>": 5}}, "ids 0, 1, 2 and so on"),
    "ids without end": (read_marian, {**MARIAN, "vocab.json": {"<unk>": 2**70}}, "ids 0, 1, 2"),
    "no unknown": (read_marian, {**MARIAN, "vocab.json": {"a": 0}}, "one of them <unk>"),
    "no object": (read_marian, {**MARIAN, "vocab.json": []}, "must be an object"),
    "two vocabularies": (
        read_marian,
        {**MARIAN, "vocab.json": VOCABULARY, "target_vocab.json": VOCABULARY},
        "must share one vocabulary",
    ),
    "no target": (
        read_marian,
        {"source.spm": MARIAN["source.spm"], "vocab.json": VOCABULARY},
        "target.spm",
    ),
    "a model of another kind": (
        read_marian,
        {**MARIAN, "target.spm": model(kind=2), "vocab.json": VOCABULARY},
        "target.spm must be a Unigram model; got BPE",
    ),
    "a model cut short": (
        read_marian,
        {**MARIAN, "source.spm": MARIAN["source.spm"][:99], "vocab.json": VOCABULARY},
        "source.spm",
    ),
    "another order": (
        read_fairseq,
        {"sentencepiece.bpe.model": model(pieces=ORDERED[::-1])},
        "begin with the pieces <unk>, <s> and </s>",
    ),
    "an unknown language": (
        read_fairseq,
        {
            "sentencepiece.bpe.model": model(),
            "config.json": {"model_type": "mbart"},
            "tokenizer_config.json": {"src_lang": "tlh_XX"},
        },
        "src_lang must be one of ar_AR",
    ),
    "sentinels without end": (
        read_pieces,
        {"spiece.model": model(), "tokenizer_config.json": {"extra_ids": 10**9}},
        "extra_ids must be a number of sentinels up to 4096; got 1000000000",
    ),
    "sentinels that are text": (
        read_pieces,
        {"spiece.model": model(), "tokenizer_config.json": {"extra_ids": "9"}},
        "extra_ids must be a number",
    ),
}


def written(files):
    def make(folder):
        (folder / "pieces").mkdir()
        for name, contents in files.items():
            data = contents if isinstance(contents, bytes) else json.dumps(contents).encode()
            (folder / "pieces" / name).write_bytes(data)
        return folder / "pieces"

    return make


ROWS = tuple(
    Row("SentencePiece folder", case, written(files), read, re.escape(message), "pieces")
    for case, (read, files, message) in PIECES.items()
)
