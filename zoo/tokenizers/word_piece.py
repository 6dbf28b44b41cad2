"""WordPiece: what BERT and its like read."""

from collections.abc import Iterable
from typing import Any, Self

import keras

from zoo.tokenizers import training
from zoo.tokenizers.tokenizer import Tokenizer


@keras.saving.register_keras_serializable("zoo")
class WordPieceTokenizer(Tokenizer):
    """WordPiece with BERT's normaliser and pre-tokeniser.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805; the normaliser cleans text, sets Chinese
    characters apart and, if lowercase, strips accents. Decoding cannot restore what it changed.
    """

    model_type = "WordPiece"

    @classmethod
    def train(
        cls, texts: Iterable, vocab_size: int, lowercase: bool = True, alphabet_size: int = 1000
    ) -> Self:
        """Learn a vocabulary, with `[PAD] [UNK] [CLS] [SEP] [MASK]` as ids 0 to 4.

        The same texts give the same vocabulary, always.

        Args:
            texts: an iterable of str, or of `pathlib.Path`s of UTF-8 files, read once.
            vocab_size: int, number of ids wanted; little text may give fewer.
            lowercase: lowercase the text and strip its accents.
            alphabet_size: how many different characters to keep, the most frequent first; words
                with others become `[UNK]`.

        Raises:
            TypeError: an item is not a str.
            ValueError: no text, or `vocab_size` too small for the characters.
        """
        return cls(training.word_piece(texts, vocab_size, lowercase, alphabet_size))

    @classmethod
    def from_vocab(cls, vocab: Any, lowercase: bool = True) -> Self:
        """A tokenizer from the file that BERT was published with.

        Args:
            vocab: path of `vocab.txt`, or its lines: a token each, in the order of the ids.
            lowercase: lowercase the text and strip its accents.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a token occurs twice, or `[UNK]` is missing.
        """
        return cls(training.word_piece_file(vocab, lowercase))
