"""Tokenizers that cut a text into pieces and look each of them up."""

import json

from zoo.tokenizers import WordPieceTokenizer

AS_IT_STANDS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def make_tokenizer(tokens, special, piece, unknown):
    """A tokenizer without subwords.

    WordPiece with no pieces that go on a word looks whole words up, and here words are what `piece`
    matches. Decoding joins tokens as they are.

    Args:
        tokens: texts in the order of their ids.
        special: those that are special.
        piece: a regular expression whose matches, one after the other, make up any text.
        unknown: the token for pieces that are none.

    Returns:
        A `zoo.tokenizers.WordPieceTokenizer`.
    """
    vocabulary = {token: i for i, token in enumerate(tokens)}
    contents = {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": token, "special": True, **AS_IT_STANDS}
            for token, i in vocabulary.items()
            if token in special
        ],
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": piece},
            "behavior": "Isolated",
            "invert": False,
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    return WordPieceTokenizer(json.dumps(contents, ensure_ascii=False, indent=2))
