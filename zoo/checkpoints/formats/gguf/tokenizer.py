"""The tokenizer in a GGUF file, as `tokenizer.json`: byte-level BPE, or SentencePiece's.

The file has the vocabulary and the merges or scores; how text is cut into words is only named, and
the names are llama.cpp's: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
"""

import json

import numpy as np

from zoo.checkpoints.formats import sentencepiece
from zoo.checkpoints.formats.sentencepiece.model import (
    BYTE,
    CONTROL,
    MAX_PIECES,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
)
from zoo.tensors.checks import damaged
from zoo.tokenizers.first_token import template

LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = "gpt2"
WORDS = {  # regular expressions whose matches are words; GPT-2's is the library's own
    **dict.fromkeys(["gpt-2", "gpt2", "mpt", "olmo", "jais", "phi-2"], GPT2),
    **dict.fromkeys(["smollm", "starcoder", "refact", "command-r", "codeshell"], "digits"),
    **dict.fromkeys(["qwen2", "deepseek-r1-qwen"], rf"{ENDINGS}|{LETTERS}|\p{{N}}|{OTHERS}"),
    **dict.fromkeys(
        ["llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe"],
        rf"{ENDINGS}|{LETTERS}|\p{{N}}{{1,3}}|{OTHERS}",
    ),
}
NORMALIZED = ("qwen2", "deepseek-r1-qwen")  # to composed characters
WHOLE_FIRST = ("llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe")  # words before merges

SPECIAL = (UNKNOWN, CONTROL)  # types of tokens
NEEDED = object()

ROLES = {  # keys, by what the token is for
    "start": "bos_token_id",
    "stop": "eos_token_id",
    "unknown": "unknown_token_id",
    "padding": "padding_token_id",
    "separator": "seperator_token_id",  # so the format spells it
    "mask": "mask_token_id",
}


def read_tokenizer(metadata, path):
    """The tokenizer that a file describes.

    Args:
        metadata: of a `GgufFile`.
        path: what to call the file in errors.

    Returns:
        `(contents, roles)`: the text of a `tokenizer.json`, and `{role: id}` of those in `ROLES`
        that the file names.

    Raises:
        ValueError: damaged, or of a kind that is not supported.
    """
    kind = value(metadata, "model", str, path)
    if kind not in MAKERS:
        raise ValueError(
            f"{path}: the tokenizer must be one of {', '.join(MAKERS)}; got {kind[:80]!r}."
        )
    tokens = value(metadata, "tokens", list, path)
    types = list_of(metadata, "token_type", len(tokens), "i", path, default=1)
    if not 0 < len(tokens) <= MAX_PIECES or len(set(tokens)) < len(tokens):
        raise damaged(path, f"its tokens must be 1 to {MAX_PIECES}, and none of them twice")
    roles = {}
    for role, name in ROLES.items():
        i = value(metadata, name, int, path, None)
        if i is not None and not 0 <= i < len(tokens):
            raise damaged(path, f"{name} must be one of its {len(tokens)} ids; got {i}")
        if i is not None:
            roles[role] = i
    contents = json.loads(MAKERS[kind](metadata, tokens, types, roles, path))
    if "start" in roles and begins_texts(metadata, kind, path):
        contents["post_processor"] = template(tokens[roles["start"]], roles["start"])
    return json.dumps(contents, ensure_ascii=False, indent=2), roles


def begins_texts(metadata, kind, path):
    """Whether the start token is put before each text; of silent files, llama.cpp knows."""
    usual = kind == "llama" or metadata.get("tokenizer.ggml.pre") in WHOLE_FIRST
    return value(metadata, "add_bos_token", bool, path, usual)


def value(metadata, name, kind, path, default=NEEDED):
    """What the file says under a name of the tokenizer's."""
    found = metadata.get(f"tokenizer.ggml.{name}", default)
    if found is default and default is not NEEDED:
        return default
    if type(found) is not kind:
        what = "nothing" if found is NEEDED else type(found).__name__
        raise damaged(path, f"tokenizer.ggml.{name} must be {kind.__name__}; got {what}")
    return found


def list_of(metadata, name, count, kind, path, default):
    """A list of as many numbers as there are tokens."""
    found = metadata.get(f"tokenizer.ggml.{name}")
    if found is None:
        return [default] * count
    is_array = isinstance(found, np.ndarray) and found.dtype.kind == kind
    if not is_array or len(found) != count:
        raise damaged(path, f"tokenizer.ggml.{name} must have a number for each of {count} tokens")
    return found.tolist()


def byte_level(metadata, tokens, types, roles, path):
    """GPT-2's: bytes are written as 256 letters, and merged in the order of a list."""
    words = value(metadata, "pre", str, path, "gpt-2")
    if words not in WORDS:
        raise ValueError(
            f"{path}: text must be cut into words as one of {', '.join(WORDS)}; got {words[:80]!r}."
        )
    merges = value(metadata, "merges", list, path)
    if not all(isinstance(merge, str) and merge.count(" ") == 1 for merge in merges):
        raise damaged(path, "tokenizer.ggml.merges must be pairs of tokens with a space between")
    special = set(roles.values()) | {i for i, kind in enumerate(types) if kind in SPECIAL}
    contents = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": i,
                "content": token,
                "special": i in special,
                "normalized": False,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
            }
            for i, token in enumerate(tokens)
            if i in special or types[i] == USER_DEFINED
        ],
        "normalizer": {"type": "NFC"} if words in NORMALIZED else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": cutters(WORDS[words])},
        "post_processor": None,
        "decoder": byte_letters(False),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": words in WHOLE_FIRST,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }
    return json.dumps(contents, ensure_ascii=False, indent=2)


def cutters(words):
    """Steps that cut a text into words and spell them as bytes."""
    if words == GPT2:
        return [byte_letters(True)]
    if words == "digits":
        return [{"type": "Digits", "individual_digits": True}, byte_letters(True)]
    split = {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}
    return [split, byte_letters(False)]


def byte_letters(use_regex):
    no = {"add_prefix_space": False, "trim_offsets": True}
    return {"type": "ByteLevel", **no, "use_regex": use_regex}


def of_sentencepiece(metadata, tokens, types, roles, path):
    """Llama's, which merges by score and falls back to bytes, and T5's, which is a Unigram.

    Unused tokens fill a vocabulary up; as those for control, no text has them.
    """
    is_unigram = metadata["tokenizer.ggml.model"] == "t5"
    scores = list_of(metadata, "scores", len(tokens), "f", path, default=0.0)
    charsmap = metadata.get("tokenizer.ggml.precompiled_charsmap", np.zeros(0, "uint8"))
    if not isinstance(charsmap, np.ndarray) or charsmap.dtype.kind not in "iu":
        raise damaged(path, "tokenizer.ggml.precompiled_charsmap must be bytes")
    scores = [0.0 if kind == UNUSED else score for score, kind in zip(scores, types, strict=True)]
    types = [CONTROL if kind == UNUSED else kind for kind in types]
    model = sentencepiece.Model(
        kind="Unigram" if is_unigram else "BPE",
        pieces=[sentencepiece.Piece(*piece) for piece in zip(tokens, scores, types, strict=True)],
        charsmap=charsmap.astype("uint8").tobytes(),
        add_dummy_prefix=value(metadata, "add_space_prefix", bool, path, True),
        remove_extra_whitespaces=value(
            metadata, "remove_extra_whitespaces", bool, path, is_unigram
        ),
        byte_fallback=BYTE in types,
        roles=roles | {"unknown": types.index(UNKNOWN)} if UNKNOWN in types else roles,
    )
    sentencepiece.check(model, path)
    return sentencepiece.to_json(model)


MAKERS = {"gpt2": byte_level, "llama": of_sentencepiece, "t5": of_sentencepiece}
