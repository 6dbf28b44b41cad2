"""The tokenizer of a task, its special tokens and its chat template as a GGUF file has them."""

import json
import re

import numpy as np

from zoo.checkpoints.formats.gguf.tokenizer import NORMALIZED, ROLES, WORDS, cutters
from zoo.checkpoints.formats.sentencepiece.conversion import SPACE
from zoo.checkpoints.formats.sentencepiece.model import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
)

BYTE_NAME = re.compile("<0x[0-9A-F]{2}>")
START = "tokenizer.ggml."
TEMPLATE = "tokenizer.chat_template"


def tokenizer_metadata(model):
    """`{key: value}` of a task; raises ValueError for a tokenizer that llama.cpp has not."""
    tokenizer, special_tokens = model.tokenizer, model.special_tokens
    if tokenizer is None:
        raise ValueError(
            "A GGUF file holds its tokenizer, and this model has none. Make the task with "
            "tokenizer=..., or write a preset: zoo.save(model, folder)."
        )
    contents = json.loads(tokenizer.to_json())
    found = {
        **kind_of(tokenizer, contents, model.backbone.vocab_size),
        **role_ids(special_tokens),
        "add_bos_token": tokenizer.first_id is not None,
        "add_eos_token": False,
    }
    metadata = {f"{START}{name}": value for name, value in found.items()}
    if model.chat_template is not None:
        metadata[TEMPLATE] = model.chat_template
    return metadata


def kind_of(tokenizer, contents, vocab_size):
    """A byte-level tokenizer with its merges, or one of SentencePiece with scores."""
    words, starts_with_space = words_of(contents), space_prefix_of(contents)
    if tokenizer.kind == "BPE" and tokenizer.is_byte_level and words is not None:
        merges = [" ".join(merge) for merge in pairs_of(contents)]
        tokens = tokens_of(tokenizer, contents, vocab_size)
        return {"model": "gpt2", "pre": words, **tokens, "merges": merges}
    falls_back = tokenizer.kind == "BPE" and contents["model"].get("byte_fallback")
    if falls_back and contents["model"].get("unk_token") and starts_with_space is not None:
        tokens = tokens_of(tokenizer, contents, vocab_size)
        return {
            "model": "llama",
            **tokens,
            "scores": scores_of(contents, tokens["tokens"]),
            "add_space_prefix": starts_with_space,
        }
    raise ValueError(
        "A GGUF file holds Llama 2's tokenizer of SentencePiece, or a byte-level BPE that cuts "
        f"text as one of {', '.join(WORDS)}; this {tokenizer.kind} tokenizer does otherwise. "
        "zoo.save(model, folder) writes a preset."
    )


def words_of(contents):
    """llama.cpp's name for how a byte-level tokenizer cuts text into words, or None."""
    steps = contents.get("pre_tokenizer") or {}
    found = [plain(step) for step in steps.get("pretokenizers", [steps])]
    normalizer = (contents.get("normalizer") or {"type": None})["type"]
    for name, words in WORDS.items():
        normalized = "NFC" if name in NORMALIZED else None
        if [plain(step) for step in cutters(words)] == found and normalizer == normalized:
            return name
    return None


def space_prefix_of(contents):
    """Whether a tokenizer of SentencePiece puts a space before a text; None for any other.

    As a pre-tokenizer, it does not before texts that begin with one; llama.cpp always does.
    """
    normalizer, cutter = contents.get("normalizer"), contents.get("pre_tokenizer")
    steps = (normalizer or {}).get("normalizers", [normalizer] if normalizer else [])
    if cutter is not None:  # spaces are spelled there, or by steps of the normalizer
        whole = cutter.get("type") == "Metaspace" and cutter.get("split") is False
        scheme = cutter.get("prepend_scheme", "always")
        return (
            scheme != "never" if whole and not steps and is_space(cutter, "replacement") else None
        )
    prefix = [step for step in steps if step.get("type") == "Prepend" and is_space(step, "prepend")]
    others = [step for step in steps if step not in prefix]
    spells = [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    return bool(prefix) if others == spells and len(prefix) < 2 else None


def is_space(step, key):
    return step.get(key) == SPACE


def plain(step):
    """A step without what says nothing about ids."""
    unsaid = ("trim_offsets", "invert") if not step.get("invert") else ("trim_offsets",)
    return {key: value for key, value in step.items() if key not in unsaid}


def tokens_of(tokenizer, contents, vocab_size):
    """Its tokens and their types; rows of the table without a token get names."""
    added = {token["id"]: token for token in contents.get("added_tokens") or []}
    tokens, types = [], []
    for i in range(vocab_size):
        token = tokenizer.id_to_token(i) if i < tokenizer.vocab_size else f"[PAD{i}]"
        if i >= tokenizer.vocab_size:
            kind = UNUSED
        elif token == contents["model"].get("unk_token"):
            kind = UNKNOWN
        elif i in added:
            kind = CONTROL if added[i].get("special") else USER_DEFINED
        else:
            is_byte = contents["model"].get("byte_fallback") and BYTE_NAME.fullmatch(token)
            kind = BYTE if is_byte else NORMAL
        tokens.append(token)
        types.append(kind)
    return {"tokens": tokens, "token_type": np.array(types, "int32")}


def pairs_of(contents):
    """The merges, a list of pairs."""
    merges = contents["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def scores_of(contents, tokens):
    """Of each token, float32: what is merged first has the largest."""
    ranks = {}
    for left, right in pairs_of(contents):
        ranks.setdefault(left + right, float(-len(ranks)))
    last = float(-len(ranks))
    return np.array([ranks.get(token, last) for token in tokens], "float32")


def role_ids(special_tokens):
    """`{"eos_token_id": id}` and its like."""
    found = {name: getattr(special_tokens, role, None) for role, name in ROLES.items()}
    found[ROLES["stop"]] = special_tokens.end
    if len(special_tokens.stop) > 1:
        found["eot_token_id"] = special_tokens.stop[1]
    return {name: value for name, value in found.items() if value is not None}
