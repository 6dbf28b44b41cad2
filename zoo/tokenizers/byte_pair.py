"""Byte-pair encoding: what GPT-2 and its like read."""

from collections.abc import Iterable
from typing import Any, Self

import keras

from zoo.tokenizers import training
from zoo.tokenizers.tokenizer import Tokenizer


@keras.saving.register_keras_serializable("zoo")
class BytePairTokenizer(Tokenizer):
    """Byte-pair encoding. Trained here, it is GPT-2's byte-level one.

    Sennrich et al., 2016, https://arxiv.org/abs/1508.07909; bytes as its alphabet: Radford et al.,
    2019, "Language Models are Unsupervised Multitask Learners".
    """

    model_type = "BPE"

    @classmethod
    def train(
        cls, texts: Iterable, vocab_size: int, special_tokens: Iterable[str] = ("<|endoftext|>",)
    ) -> Self:
        """Learn a byte-level vocabulary.

        Args:
            texts: an iterable of str, or of `pathlib.Path`s of UTF-8 files, read once.
            vocab_size: int, number of ids wanted; little text may give fewer.
            special_tokens: names of the special tokens, which take the ids from 0 on.

        Raises:
            TypeError: an item is not a str.
            ValueError: no text, the name of a file in its place, or `vocab_size` below 256 bytes
                and the special tokens.
        """
        return cls(training.byte_pair(texts, vocab_size, special_tokens))

    @classmethod
    def from_vocab_and_merges(
        cls, vocab: Any, merges: Any, special_tokens: Iterable[str] = ("<|endoftext|>",)
    ) -> Self:
        """A byte-level tokenizer from the two files that GPT-2 was published with.

        Args:
            vocab: path of `vocab.json`, or its `{token: id}`.
            merges: path of `merges.txt`, or its lines without the first, version line.
            special_tokens: tokens of the vocabulary that are special.
        """
        return cls(training.byte_pair_files(vocab, merges, special_tokens))
