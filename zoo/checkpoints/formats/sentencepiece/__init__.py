"""SentencePiece models without their package: read strictly, made a tokenizer.json."""

from zoo.checkpoints.formats.sentencepiece.conversion import to_json
from zoo.checkpoints.formats.sentencepiece.model import Model, Piece, check, parse, read

__all__ = ["Model", "Piece", "check", "parse", "read", "to_json"]
