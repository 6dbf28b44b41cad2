"""The tokenizer of a task, its special tokens and its chat template as a GGUF file has them."""

import json

import numpy as np

from zoo.checkpoints.formats.gguf.tokenizer import NORMALIZED, ROLES, WORDS, cutters
from zoo.checkpoints.formats.sentencepiece.model import CONTROL, USER_DEFINED

NORMAL = 1
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
        "model": "gpt2",
        "pre": words_of(tokenizer, contents),
        **tokens_of(tokenizer, contents, model.backbone.vocab_size),
        **role_ids(special_tokens),
        "add_bos_token": tokenizer.first_id is not None,
        "add_eos_token": False,
    }
    metadata = {f"{START}{name}": value for name, value in found.items()}
    if model.chat_template is not None:
        metadata[TEMPLATE] = model.chat_template
    return metadata


def words_of(tokenizer, contents):
    """llama.cpp's name for how a byte-level tokenizer cuts text into words."""
    steps = contents.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    found = [plain(step) for step in steps]
    normalizer = (contents.get("normalizer") or {"type": None})["type"]
    model = contents["model"]
    if tokenizer.kind == "BPE" and tokenizer.is_byte_level and not model.get("byte_fallback"):
        for name, words in WORDS.items():
            normalized = "NFC" if name in NORMALIZED else None
            if [plain(step) for step in cutters(words)] == found and normalizer == normalized:
                return name
    raise ValueError(
        "A GGUF file holds a byte-level BPE tokenizer that cuts text as one of "
        f"{', '.join(WORDS)}; this {tokenizer.kind} tokenizer does otherwise. "
        "zoo.save(model, folder) writes a preset."
    )


def plain(step):
    """A step without what says nothing about ids."""
    unsaid = ("trim_offsets", "invert") if not step.get("invert") else ("trim_offsets",)
    return {key: value for key, value in step.items() if key not in unsaid}


def tokens_of(tokenizer, contents, vocab_size):
    """Its tokens, their types and its merges; rows of the table without a token get names."""
    added = {token["id"]: token for token in contents.get("added_tokens") or []}
    tokens, types = [], []
    for i in range(vocab_size):
        known = i < tokenizer.vocab_size
        tokens.append(tokenizer.id_to_token(i) if known else f"[PAD{i}]")
        kind = NORMAL if known else 5  # unused
        if i in added:
            kind = CONTROL if added[i].get("special") else USER_DEFINED
        types.append(kind)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges_of(contents)]
    return {"tokens": tokens, "token_type": np.array(types, "int32"), "merges": merges}


def merges_of(contents):
    return contents["model"]["merges"]


def role_ids(special_tokens):
    """`{"eos_token_id": id}` and its like."""
    found = {name: getattr(special_tokens, role, None) for role, name in ROLES.items()}
    found[ROLES["stop"]] = special_tokens.end
    if len(special_tokens.stop) > 1:
        found["eot_token_id"] = special_tokens.stop[1]
    return {name: value for name, value in found.items() if value is not None}
