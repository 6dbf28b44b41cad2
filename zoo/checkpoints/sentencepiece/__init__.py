"""SentencePiece models without their package: read strictly, made a tokenizer.json."""

from zoo.checkpoints.sentencepiece.conversion import to_json
from zoo.checkpoints.sentencepiece.model import Model, Piece, check, parse, read

__all__ = ["Model", "Piece", "check", "parse", "read", "to_json"]
