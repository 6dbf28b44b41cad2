"""Tokenizers of KerasHub presets, both ways: a tokenizer.json that names a class, and its assets.

assets/tokenizer/vocabulary.json, merges.txt    byte-level BPE: GPT-2, RoBERTa, BART
assets/tokenizer/vocabulary.txt                 WordPiece: BERT, DistilBERT
assets/tokenizer/vocabulary.spm                 SentencePiece: Llama
"""

import json

from zoo.checkpoints.formats import sentencepiece as spm
from zoo.checkpoints.keras_hub.objects import config_of, read, serialized
from zoo.tokenizers import BytePairTokenizer, Tokenizer, WordPieceTokenizer

NAME, ASSETS = "tokenizer.json", "assets/tokenizer"
BYTE_PAIRS = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer")
WORD_PIECES = ("BertTokenizer", "DistilBertTokenizer")
SPECIAL = {
    "GPT2Tokenizer": ("<|endoftext|>",),
    **dict.fromkeys(("RobertaTokenizer", "BartTokenizer"), ("<s>", "<pad>", "</s>", "<mask>")),
    **dict.fromkeys(WORD_PIECES, ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")),
}


def read_tokenizer(folder):
    """The tokenizer of a preset, or None where it has none.

    Raises:
        ValueError: damaged, or of a class that ours cannot stand for.
    """
    path, assets = folder / NAME, folder / ASSETS
    if not path.exists():
        return None
    name, config = config_of(read(path), path)
    if name in BYTE_PAIRS:
        if config.get("add_prefix_space"):
            raise ValueError(f"{path}: add_prefix_space must be false; got true.")
        vocabulary, merges = assets / "vocabulary.json", assets / "merges.txt"
        names = (*SPECIAL[name], "<unk>")
        return BytePairTokenizer.from_vocab_and_merges(vocabulary, merges, names)
    if name in WORD_PIECES:
        tokenizer = WordPieceTokenizer.from_vocab(
            assets / "vocabulary.txt", lowercase=bool(config.get("lowercase"))
        )
        contents = json.loads(tokenizer.to_json())
        contents["normalizer"]["strip_accents"] = bool(config.get("strip_accents"))
        return WordPieceTokenizer(json.dumps(contents, ensure_ascii=False))
    if name == "LlamaTokenizer":
        model = spm.read(assets / "vocabulary.spm")
        return Tokenizer(spm.to_json(model), source=str(assets / "vocabulary.spm"))
    known = ", ".join((*BYTE_PAIRS, *WORD_PIECES, "LlamaTokenizer"))
    raise ValueError(f"{path}: class_name must be one of {known}; got {name!r}.")


def write_tokenizer(tokenizer, name, folder):
    """Write the files of a tokenizer, and return its serialised object.

    Raises:
        ValueError: their class cannot do what it does.
    """
    contents = json.loads(tokenizer.to_json())
    lacking = [token for token in SPECIAL.get(name, ()) if tokenizer.token_to_id(token) is None]
    if lacking:
        raise ValueError(f"their {name} needs the token {lacking[0]!r}, which ours does not have")
    assets = folder / ASSETS
    assets.mkdir(parents=True)
    if name in BYTE_PAIRS:
        config = write_byte_pairs(tokenizer, contents, name, assets)
    elif name in WORD_PIECES:
        config = write_word_pieces(tokenizer, contents, name, assets)
    else:
        raise ValueError(
            f"their {name} reads a SentencePiece model, which cannot be written; a model made "
            "without tokenizer is written without"
        )
    written = serialized(name, {"name": "tokenizer", "config_file": NAME, **config}, dtype="int32")
    (folder / NAME).write_text(json.dumps(written, indent=4), encoding="utf-8")
    return written


def write_byte_pairs(tokenizer, contents, name, assets):
    usual = json.loads(BytePairTokenizer.from_vocab_and_merges({"a": 0}, ()).to_json())
    parts = ("normalizer", "pre_tokenizer", "decoder")
    if tokenizer.kind != "BPE" or any(contents.get(part) != usual.get(part) for part in parts):
        raise ValueError(f"their {name} is a byte-level BPE, and splits text as GPT-2's")
    vocabulary = {tokenizer.id_to_token(i): i for i in range(tokenizer.vocab_size)}
    merges = [m if isinstance(m, str) else " ".join(m) for m in contents["model"]["merges"]]
    write(assets / "vocabulary.json", json.dumps(vocabulary, ensure_ascii=False))
    write(assets / "merges.txt", "".join(f"{merge}\n" for merge in merges))
    return {"sequence_length": None, "add_prefix_space": False}


def write_word_pieces(tokenizer, contents, name, assets):
    steps = contents.get("normalizer") or {}
    if tokenizer.kind != "WordPiece" or steps.get("type") != "BertNormalizer":
        raise ValueError(f"their {name} is a WordPiece with BERT's normaliser")
    lowercase, accents = steps.get("lowercase", True), steps.get("strip_accents")
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.vocab_size)]
    write(assets / "vocabulary.txt", "".join(f"{token}\n" for token in tokens))
    return {
        "sequence_length": None,
        "lowercase": lowercase,
        "strip_accents": lowercase if accents is None else accents,
    }


def write(path, text):
    path.write_text(text, encoding="utf-8")
