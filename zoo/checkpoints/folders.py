"""Folders that Hugging Face transformers wrote, as presets."""

import json
from pathlib import Path

from zoo import hub
from zoo.checkpoints import configs, engine, refusals
from zoo.checkpoints.chat_templates import read_chat_template
from zoo.checkpoints.configs import class_of, read_theirs
from zoo.checkpoints.formats.opening import find_weights, open_tensors
from zoo.checkpoints.requests import read_request
from zoo.checkpoints.roles import read_special_tokens as roles_of
from zoo.checkpoints.sentence_transformers import check_pooling
from zoo.checkpoints.vocabularies import read_tokenizer
from zoo.shared_weights import warn_of_new_heads
from zoo.tasks import TASKS, TextEmbedder
from zoo.tokenizers import Tokenizer
from zoo.tokenizers.first_token import ends_rows

__all__ = ["find_weights", "load_weights", "read_config", "read_special_tokens", "read_tokenizer"]


def read_config(folder):
    """As `zoo.checkpoints.configs.read_config`, with what a language model is asked for usually.

    That is its chat template, its sampler and its usual request.
    """
    config = configs.read_config(folder)
    template = read_chat_template(folder) if config["task"] == "causal_lm" else None
    if template is not None:
        config["task_arguments"]["chat_template"] = template
    if config["task"] in ("causal_lm", "seq2seq"):
        config["sampler"], config["request"] = read_request(Path(folder), config["task"])
    if config["task_arguments"].get("pooling") == "last":
        config["task_arguments"]["add_special_tokens"] = has_ends(Path(folder))
    return config


def has_ends(folder):
    """Whether its tokenizer puts something after each text, as one that was written here may."""
    path = folder / hub.TOKENIZER_NAME
    if not path.exists():
        return False
    return ends_rows(json.loads(Tokenizer.load(folder).to_json()))


def load_weights(model, folder, backbone_only=False, is_checked=False):
    """Fill a task from their weights; see `zoo.checkpoints.load_weights`."""
    folder = Path(folder)
    theirs, family = read_theirs(folder)
    cls = class_of(theirs, family, folder / hub.CONFIG_NAME)
    saved_for = family.architectures[cls]
    is_own_task = type(model) is TASKS[saved_for] and not backbone_only
    if is_own_task and saved_for in family.refused_heads:
        _, reason = family.refused_heads[saved_for]
        raise ValueError(
            f"{folder}: a {family.name} head for {saved_for} cannot be converted: {reason}. Load "
            "its backbone for another task, such as task='embedding'."
        )
    if isinstance(model, TextEmbedder):
        check_pooling(folder)
    must_have_heads = is_own_task and cls != family.bare
    heads = "none" if backbone_only else "all" if must_have_heads else "shared"
    with open_tensors(folder) as tensors:
        refusals.check_names(tensors.names, tensors.path)
        if not is_checked:
            tensors.check_data()
        missing = engine.fill(model, tensors, family, saved_for, heads, tensors.path)
        if heads == "shared":
            warn_of_new_heads(tensors.path, missing)


def read_special_tokens(folder, tokenizer, vocab_size):
    """The `SpecialTokens` of a folder, of which `tokenizer` is the tokenizer, or None."""
    _, family = read_theirs(folder)
    return roles_of(Path(folder), family, tokenizer, vocab_size)
