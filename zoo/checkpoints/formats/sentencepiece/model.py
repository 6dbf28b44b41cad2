"""SentencePiece's `.model` files: pieces with their scores, and how text is normalised.

Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226; the format is a protocol buffer,
https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

import math
from typing import NamedTuple

from zoo.checkpoints.formats.sentencepiece import charsmap, protobuf
from zoo.checkpoints.formats.sentencepiece.protobuf import Field
from zoo.tensors import checks
from zoo.tensors.checks import damaged

MAX_BYTES = 16 * 2**20  # four times the largest published
MAX_PIECES = 300_000
MAX_PIECE = 512  # characters
MAX_SPLITS = 4 * 10**6  # of pieces in two, which merges are made of

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # types of pieces
ELSEWHERE, WORD_OF_ITS_OWN = -1, -2  # and two that no file has: see `orders`
KINDS = {1: "Unigram", 2: "BPE", 3: "WORD", 4: "CHAR"}
SUPPORTED = ("Unigram", "BPE")
BYTES = {f"<0x{byte:02X}>" for byte in range(256)}

PIECES, TRAINER, NORMALIZER, DENORMALIZER = 1, 2, 3, 5  # fields of the whole
PIECE_FIELDS = {
    1: Field("text", "text", ""),
    2: Field("score", "float", 0.0),
    3: Field("type", "int", NORMAL),
}
TRAINER_FIELDS = {
    3: Field("model_type", "int", 1),
    24: Field("treat_whitespace_as_suffix", "bool", False),
    35: Field("byte_fallback", "bool", False),
    41: Field("bos_id", "int", 1),
    42: Field("eos_id", "int", 2),
    43: Field("pad_id", "int", -1),
}
NORMALIZER_FIELDS = {
    2: Field("charsmap", "bytes", b""),
    3: Field("add_dummy_prefix", "bool", True),
    4: Field("remove_extra_whitespaces", "bool", True),
    5: Field("escape_whitespaces", "bool", True),
}


class Piece(NamedTuple):
    """A token: its text, where a space is U+2581, its score, and its type."""

    text: str
    score: float
    type: int


class Model(NamedTuple):
    """What a `.model` file says.

    Attributes:
        kind: `"Unigram"` or `"BPE"`.
        pieces: a list of `Piece` in the order of the ids.
        charsmap: bytes, the table that normalises text; may be empty.
        add_dummy_prefix: whether a text is read as if a space stood before it.
        remove_extra_whitespaces: whether spaces at the ends, and all but one in a row, go.
        byte_fallback: whether characters that are no piece are spelled as bytes.
        roles: `{"start", "stop", "padding", "unknown": id}` of those there are.
        alphabet: the characters of its pieces, where two or more others in a row are one unknown
            token; None where the library finds out by itself.
    """

    kind: str
    pieces: list
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    byte_fallback: bool
    roles: dict
    alphabet: str | None = None


def read(path):
    """The model in a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: damaged, or of a kind that is not supported.
    """
    with checks.open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} must be at most {MAX_BYTES} bytes.")
    checks.check_is(data[:8], None, path)
    return parse(data, path)


def parse(data, source):
    """The model in bytes; raises as `read`, where `source` is what to call it."""
    try:
        pieces, parts = [], {}
        for number, wire_type, value in protobuf.fields(data):
            if number not in (PIECES, TRAINER, NORMALIZER, DENORMALIZER):
                continue
            if wire_type != protobuf.BYTES or number in parts:
                raise ValueError(f"field {number} is there twice, or is no message")
            if number != PIECES:
                parts[number] = value
                continue
            pieces.append(value)
            if len(pieces) > MAX_PIECES:
                raise ValueError(f"it must have at most {MAX_PIECES} pieces")
        pieces = [Piece(**protobuf.message(piece, PIECE_FIELDS)) for piece in pieces]
        if not {TRAINER, NORMALIZER} <= set(parts):
            raise ValueError("it has no settings")
        trainer = protobuf.message(parts[TRAINER], TRAINER_FIELDS)
        normalizer = protobuf.message(parts[NORMALIZER], NORMALIZER_FIELDS)
        denormalizer = protobuf.message(parts.get(DENORMALIZER, b""), NORMALIZER_FIELDS)
    except ValueError as error:
        raise damaged(source, f"it is no sound SentencePiece model ({error})") from None
    kind = KINDS.get(trainer["model_type"], trainer["model_type"])
    if kind not in SUPPORTED:
        raise ValueError(f"{source} must be a Unigram or a BPE model; got {kind}.")
    if trainer["treat_whitespace_as_suffix"] or not normalizer["escape_whitespaces"]:
        raise ValueError(f"{source} must have spaces written as U+2581 before a word.")
    if denormalizer["charsmap"]:
        raise ValueError(f"{source} changes text where it decodes it, which is not supported.")
    model = Model(
        kind,
        pieces,
        normalizer["charsmap"],
        normalizer["add_dummy_prefix"],
        normalizer["remove_extra_whitespaces"],
        trainer["byte_fallback"],
        roles(pieces, trainer),
    )
    check(model, source)
    return model


def roles(pieces, trainer):
    """Ids by what they are for."""
    named = {"start": "bos_id", "stop": "eos_id", "padding": "pad_id"}
    ids = {role: trainer[name] for role, name in named.items()}
    found = {
        role: i for role, i in ids.items() if 0 <= i < len(pieces) and pieces[i].type == CONTROL
    }
    unknown = [i for i, piece in enumerate(pieces) if piece.type == UNKNOWN]
    return found | {"unknown": unknown[0]} if unknown else found


def check(model, source):
    """Refuse pieces and a table of characters that no sound model has."""
    seen, splits = set(), 0
    for i, (text, score, kind) in enumerate(model.pieces):
        what = f"piece {i}, {text[:40]!r},"
        if not 0 < len(text) <= MAX_PIECE or "\0" in text or text in seen:
            raise damaged(source, f"{what} is empty, over {MAX_PIECE} characters or there twice")
        seen.add(text)
        if not math.isfinite(score):
            raise damaged(source, f"{what} must have a finite score; got {score}")
        if kind == UNUSED or not NORMAL <= kind <= BYTE:
            raise ValueError(f"{source}: {what} has the type {kind}, which is not supported.")
        if kind in (UNKNOWN, CONTROL) and len(text) < 2:
            raise ValueError(f"{source}: {what} must have 2 characters, so that no text has it.")
        if (kind == BYTE) != (model.byte_fallback and text in BYTES):
            raise damaged(source, f"{what} must be a byte if its name is one, and only then")
        splits += len(text) - 1
    if splits > MAX_SPLITS:
        raise damaged(source, f"its pieces must have at most {MAX_SPLITS} characters")
    if [piece.type for piece in model.pieces].count(UNKNOWN) != 1:
        raise damaged(source, "it must have one unknown piece")
    if model.byte_fallback and not seen >= BYTES:
        raise damaged(source, "it must have a piece for each byte")
    if model.charsmap:
        try:
            charsmap.check(model.charsmap)
        except ValueError as error:
            raise damaged(source, f"its precompiled_charsmap {error}") from None
