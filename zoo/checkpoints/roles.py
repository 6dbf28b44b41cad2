"""The special tokens of transformers, both ways, by the table of roles of a family.

They are ids in generation_config.json and config.json, `"eos_token_id": 2` or a list of several,
and texts in tokenizer_config.json or special_tokens_map.json, `"eos_token": "</s>"`.
"""

import dataclasses
import json

from zoo.config import read_object
from zoo.tokenizers import SpecialTokens
from zoo.tokenizers.special_tokens import SEVERAL

CONFIG_NAME = "config.json"
GENERATION_CONFIG_NAME = "generation_config.json"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
SPECIAL_TOKENS_NAME = "special_tokens_map.json"
TARGET_TOKENIZER_NAME = "target_tokenizer.json"


def read_special_tokens(folder, family, tokenizer, vocab_size):
    """The `SpecialTokens` of a folder: by their roles there, else by the tokenizer's usual names.

    An id that the vocabulary does not have, which can never occur, is left out.
    """
    ids, names = read_ids(folder), read_names(folder)
    found = {}
    if "decoder_start" in family.roles and tokenizer is not None:
        found |= around_sources(tokenizer)
    for role, name in family.roles.items():
        token_ids = forbidden(ids) if role == "never" else ids.get(f"{name}_id")
        if token_ids is None and tokenizer is not None and names.get(name) is not None:
            token_ids = tokenizer.token_to_id(names[name])
        token_ids = token_ids if isinstance(token_ids, list) else [token_ids]
        token_ids = [i for i in token_ids if type(i) is int and 0 <= i < vocab_size]
        if token_ids:
            found[role] = tuple(token_ids) if role in SEVERAL else token_ids[0]
    return dataclasses.replace(SpecialTokens.of(tokenizer), **found)


def forbidden(ids):
    """Ids that are never generated: `"bad_words_ids": [[id], ...]`, without words of several."""
    words = ids.get("bad_words_ids")
    words = words if isinstance(words, list) else []
    return [word[0] for word in words if isinstance(word, list) and len(word) == 1]


def around_sources(tokenizer):
    """What stands before and after a source, as the tokenizer's file has it; see `row_of`."""
    before, after = row_of(json.loads(tokenizer.to_json()).get("post_processor"), tokenizer)
    found = {"source_start": before[0]} if len(before) == 1 else {}
    return found | ({"source_end": tuple(after)} if len(after) > 1 else {})


def row_of(processor, tokenizer):
    """Ids before and after a single text by a post_processor; none where it says nothing of it."""
    kind = processor.get("type") if isinstance(processor, dict) else None
    if kind == "Sequence" and isinstance(processor.get("processors"), list):
        rows = [row_of(step, tokenizer) for step in processor["processors"]]
        return next((row for row in rows if any(row)), ([], []))
    if kind in ("BertProcessing", "RobertaProcessing"):
        names = [[processor.get(side, [None])[0]] for side in ("cls", "sep")]
    elif kind == "TemplateProcessing":
        template = processor.get("single")
        template = template if isinstance(template, list) else []
        names, place = ([], []), 0
        for part in template:
            place = 1 if "Sequence" in part else place
            names[place].extend([part["SpecialToken"].get("id")] if "SpecialToken" in part else [])
    else:
        return [], []
    ids = [[tokenizer.special_ids.get(name) for name in side] for side in names]
    return ids if all(i is not None for side in ids for i in side) else ([], [])


def read_ids(folder):
    """`{"eos_token_id": id or ids}` of a folder's configs."""
    found = {}
    for name in (CONFIG_NAME, GENERATION_CONFIG_NAME):  # the second goes before
        path = folder / name
        if path.exists():
            contents = read_object(path)
            kept = ("_id", "_ids")
            found |= {k: v for k, v in contents.items() if k.endswith(kept) and v is not None}
    return found


def read_settings(folder):
    """The tokenizer_config.json of a folder; empty without one."""
    path = folder / TOKENIZER_CONFIG_NAME
    return read_object(path) if path.exists() else {}


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
        if role == "never":
            found[f"{name}_ids"] = [[token_id] for token_id in special_tokens.never] or None
            continue
        value = getattr(special_tokens, role)
        if role == "stop":
            value = list(value) if len(value) > 1 else special_tokens.end
        if role == "decoder_start":
            value = special_tokens.before_target
        found[f"{name}_id"] = value
    return found


def their_names(special_tokens, roles, tokenizer):
    """`{"eos_token": text}` of a task's special tokens."""
    found = {}
    for key, value in their_ids(special_tokens, roles).items():
        if not key.endswith("_id"):
            continue
        token_id = value[0] if isinstance(value, list) else value
        if token_id is not None and token_id < tokenizer.vocab_size:
            found[key.removesuffix("_id")] = tokenizer.id_to_token(token_id)
    return found
