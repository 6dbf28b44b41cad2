"""The tokenizer of a folder that transformers wrote."""

from pathlib import Path

from zoo import hub
from zoo.arguments import shown
from zoo.config import read_object
from zoo.tokenizers import Tokenizer, WordPieceTokenizer

VOCABULARY_NAME = "vocab.txt"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"


def read_tokenizer(folder):
    """The tokenizer of a folder: its tokenizer.json, else BERT's of its vocab.txt, else None.

    Raises:
        ValueError: damaged, or settings that only a tokenizer.json can hold.
    """
    folder = Path(folder)
    if (folder / hub.TOKENIZER_NAME).exists():
        return Tokenizer.load(folder)
    if not (folder / VOCABULARY_NAME).exists():
        return None
    path = folder / TOKENIZER_CONFIG_NAME
    settings = read_object(path) if path.exists() else {}
    lowercase = settings.get("do_lower_case", True)
    usual = {"strip_accents": (None, lowercase), "tokenize_chinese_chars": (None, True)}
    for key, values in usual.items():
        if settings.get(key) not in values:
            raise ValueError(
                f"{path}: {key} must be left at its default for a vocabulary without a "
                f"{hub.TOKENIZER_NAME}; got {shown(settings[key])}. Save it again with "
                "transformers, which writes one."
            )
    return WordPieceTokenizer.from_vocab(folder / VOCABULARY_NAME, lowercase=lowercase)
