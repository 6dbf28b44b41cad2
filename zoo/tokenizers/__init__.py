"""Text to token ids and back: one `tokenizer.json`, one engine, one result on every path."""

from zoo.tokenizers.byte_pair import BytePairTokenizer
from zoo.tokenizers.special_tokens import SpecialTokens
from zoo.tokenizers.streaming import StreamDecoder
from zoo.tokenizers.tokenizer import Tokenizer
from zoo.tokenizers.word_piece import WordPieceTokenizer

__all__ = ["BytePairTokenizer", "SpecialTokens", "StreamDecoder", "Tokenizer", "WordPieceTokenizer"]
