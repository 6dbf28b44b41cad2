"""SentencePiece models without their package: read strictly, made a tokenizer.json."""

from zoo.checkpoints.formats.sentencepiece.conversion import to_json
from zoo.checkpoints.formats.sentencepiece.model import Model, Piece, check, parse, read
from zoo.checkpoints.formats.sentencepiece.orders import (
    LANGUAGES,
    MORE_LANGUAGES,
    in_fairseq_order,
    on_vocabulary,
    with_extra_ids,
)

__all__ = [
    "LANGUAGES",
    "MORE_LANGUAGES",
    "Model",
    "Piece",
    "check",
    "in_fairseq_order",
    "on_vocabulary",
    "parse",
    "read",
    "to_json",
    "with_extra_ids",
]
