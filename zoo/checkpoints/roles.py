"""The special tokens of transformers, both ways, by the table of roles of a family.

They are ids in generation_config.json and config.json, `"eos_token_id": 2` or a list of several,
and texts in tokenizer_config.json or special_tokens_map.json, `"eos_token": "</s>"`.
"""

import dataclasses

from zoo.config import read_object
from zoo.tokenizers import SpecialTokens

CONFIG_NAME = "config.json"
GENERATION_CONFIG_NAME = "generation_config.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
SPECIAL_TOKENS_NAME = "special_tokens_map.json"


def read_special_tokens(folder, family, tokenizer, vocab_size):
    """The `SpecialTokens` of a folder: by their roles there, else by the tokenizer's usual names.

    An id that the vocabulary does not have, which can never occur, is left out.
    """
    ids, names = read_ids(folder), read_names(folder)
    found = {}
    for role, name in family.roles.items():
        token_ids = ids.get(f"{name}_id")
        if token_ids is None and tokenizer is not None and names.get(name) is not None:
            token_ids = tokenizer.token_to_id(names[name])
        token_ids = token_ids if isinstance(token_ids, list) else [token_ids]
        token_ids = [i for i in token_ids if type(i) is int and 0 <= i < vocab_size]
        if token_ids:
            found[role] = tuple(token_ids) if role == "stop" else token_ids[0]
    return dataclasses.replace(SpecialTokens.of(tokenizer), **found)


def read_ids(folder):
    """`{"eos_token_id": id or ids}` of a folder's configs."""
    found = {}
    for name in (CONFIG_NAME, GENERATION_CONFIG_NAME):  # the second goes before
        path = folder / name
        if path.exists():
            contents = read_object(path)
            found |= {k: v for k, v in contents.items() if k.endswith("_id") and v is not None}
    return found


def read_names(folder):
    """`{"eos_token": text}` of a folder's tokenizer."""
    found = {}
    for name in (SPECIAL_TOKENS_NAME, TOKENIZER_CONFIG_NAME):
        path = folder / name
        for key, value in (read_object(path) if path.exists() else {}).items():
            text = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(text, str):
                found[key] = text
    return found


def their_ids(special_tokens, roles):
    """`{"eos_token_id": id, ids or None}` of a task's special tokens."""
    found = {}
    for role, name in roles.items():
        value = getattr(special_tokens, role)
        if role == "stop":
            value = list(value) if len(value) > 1 else special_tokens.end
        found[f"{name}_id"] = value
    return found


def their_names(special_tokens, roles, tokenizer):
    """`{"eos_token": text}` of a task's special tokens."""
    found = {}
    for key, value in their_ids(special_tokens, roles).items():
        token_id = value[0] if isinstance(value, list) else value
        if token_id is not None and token_id < tokenizer.vocab_size:
            found[key.removesuffix("_id")] = tokenizer.id_to_token(token_id)
    return found
