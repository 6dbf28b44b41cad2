"""SentencePiece models as `tokenizer.json`, with the same ids for the same text."""

import base64
import collections
import json
import re

from zoo.checkpoints.formats.sentencepiece.model import (
    CONTROL,
    ELSEWHERE,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    WORD_OF_ITS_OWN,
)

SPACE = "\u2581"
MARK = "\U0010ffff"  # before pieces that are not to be found: no character, so that no text has it
NO_PIECE = "\0"  # of one byte, which no piece has
MOST_PATTERN = 8_000  # characters of a class: the tokenizer's own bound is somewhat larger
AS_IT_STANDS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def to_json(model):
    """The contents of a `tokenizer.json` that does what a model does.

    Text is not cut into words first: SentencePiece does not, either. Names of control pieces in a
    text are only text. Two things differ, as they do in transformers: a user's own symbols in a BPE
    model stand apart, with spaces beside them removed as at the ends of a text, if the model does
    that; and the library normalises clusters of 6 bytes or more one character at a time, such as
    half-width kana with a voicing mark, or decomposed Hangul.

    Args:
        model: a `zoo.checkpoints.formats.sentencepiece.Model`.

    Returns:
        A str.
    """
    contents = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(model),
        "normalizer": {"type": "Sequence", "normalizers": normalizers(model)},
        "pre_tokenizer": pre_tokenizer(model),
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders(model)},
        "model": bpe(model) if model.kind == "BPE" else unigram(model),
    }
    return json.dumps(contents, ensure_ascii=False, indent=2)


def added_tokens(model):
    special = (CONTROL, UNKNOWN)
    added = (*special, WORD_OF_ITS_OWN, *[USER_DEFINED][: model.kind == "BPE"])
    return [
        {"id": i, "content": piece.text, "special": piece.type in special, **AS_IT_STANDS}
        for i, piece in enumerate(model.pieces)
        if piece.type in added
    ]


def normalizers(model):
    steps = [replace({"String": MARK}, "")] if has_elsewhere(model) else []
    if model.charsmap:
        charsmap = base64.b64encode(model.charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if model.remove_extra_whitespaces:
        steps += [
            replace({"Regex": r"\A +"}, ""),
            replace({"Regex": rf"[ {SPACE}]+\z"}, ""),
            replace({"Regex": " {2,}"}, " "),
        ]
    if model.add_dummy_prefix:
        steps.append({"type": "Prepend", "prepend": SPACE})
    steps.append(replace({"String": " "}, SPACE))
    if model.alphabet is not None and len(model.alphabet) < MOST_PATTERN:
        others = rf"[^{re.escape(model.alphabet)}{SPACE}]{{2,}}"
        steps.append(replace({"Regex": others}, NO_PIECE))
    return steps


def has_elsewhere(model):
    return any(piece.type == ELSEWHERE for piece in model.pieces)


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def pre_tokenizer(model):
    """Cuts the names of pieces that no text has: Unigram would take them for the pieces."""
    if model.kind == "BPE":
        return None  # which has no merges that make them
    endings = collections.defaultdict(list)
    for piece in model.pieces:
        if piece.type in (CONTROL, UNKNOWN):
            endings[re.escape(piece.text[0])].append(re.escape(piece.text[1:]))
    cuts = [f"(?<={first})(?={'|'.join(rest)})" for first, rest in endings.items()]
    if model.byte_fallback:
        cuts.append("(?<=<)(?=0x[0-9A-F]{2}>)")
    pattern = {"Regex": "|".join(cuts)}
    return {"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": False}


def decoders(model):
    steps = [replace({"String": SPACE}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    if has_elsewhere(model):
        steps.insert(0, replace({"String": MARK}, ""))
    if model.add_dummy_prefix:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return steps


def unigram(model):
    """Pieces with their scores; a user's own symbols have the best, and so are always taken."""
    best = max((piece.score for piece in model.pieces if piece.type == NORMAL), default=0.0)
    vocab = [
        [
            MARK + piece.text if piece.type == ELSEWHERE else piece.text,
            max(best, 0.0) if piece.type == USER_DEFINED else piece.score,
        ]
        for piece in model.pieces
    ]
    unknown = model.roles["unknown"]
    fallback = model.byte_fallback
    return {"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": fallback}


def bpe(model):
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": model.pieces[model.roles["unknown"]].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": model.byte_fallback,
        "ignore_merges": False,
        "vocab": {piece.text: i for i, piece in enumerate(model.pieces)},
        "merges": merges(model.pieces),
    }


def merges(pieces):
    """Pairs of pieces in the order in which they are merged.

    SentencePiece has no list of them: whatever two neighbours make a piece are merged, the piece
    with the best score first.
    """
    ids = {piece.text: i for i, piece in enumerate(pieces) if piece.type == NORMAL}
    found = []
    for text, i in ids.items():
        pairs = [(text[:k], text[k:]) for k in range(1, len(text))]
        known = [(ids[left], ids[right]) for left, right in pairs if left in ids and right in ids]
        found += [(-pieces[i].score, i, pair) for pair in sorted(known)]
    found.sort(key=lambda one: one[:2])
    return [[pieces[left].text, pieces[right].text] for _, _, (left, right) in found]
