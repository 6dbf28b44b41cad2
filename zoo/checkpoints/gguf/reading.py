"""A GGUF file as a preset: its config, its tokenizer and its weights."""

import math
from pathlib import Path

import numpy as np

from zoo.checkpoints import engine
from zoo.checkpoints.configs import preset_config
from zoo.checkpoints.formats import gguf
from zoo.checkpoints.gguf.families import ARCHITECTURES
from zoo.checkpoints.gguf.rotary import FACTORS
from zoo.checks import shown
from zoo.hub import GGUF, suggestion
from zoo.shared_weights import warn_of_new_heads
from zoo.sizes import count_parameters
from zoo.tasks.chatting import CHAT_TEMPLATE
from zoo.tokenizers import SpecialTokens, Tokenizer

TEMPLATE = "tokenizer.chat_template"
FURTHER_STOPS = ("eot_token_id", "eom_token_id")  # ends of turns and of messages


def is_gguf(path):
    """Whether a path is that of a GGUF file, by its name."""
    return Path(path).suffix == GGUF


def read_config(path):
    """The contents of a preset's config.json that describes the model in a file.

    Raises:
        ValueError: damaged, or a model that ours cannot stand for.
    """
    with gguf.GgufFile(path) as file:
        family = family_of(file)
        config = preset_config(describe(file, family), family, "causal_lm", path)
        check_size(config, file)
        template = file.metadata.get(TEMPLATE)
    if template is not None:
        if not CHAT_TEMPLATE.fits(template):
            raise ValueError(
                f"{path}: {TEMPLATE} must be {CHAT_TEMPLATE.expected}; got {shown(template)}."
            )
        config["task_arguments"]["chat_template"] = template
    return config


def check_size(config, file):
    """Before anything is allocated: the file has as many numbers as it describes."""
    described = count_parameters(config)
    held = sum(math.prod(file.shape(name)) for name in file.names)
    if held < described:
        raise ValueError(
            f"{file.path} must hold the {described:,} numbers that its metadata describes; got "
            f"{held:,}. Fetch it again."
        )


def family_of(file):
    """The tables of a file's architecture."""
    name = file.metadata.get("general.architecture")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ValueError(
            f"{file.path}: general.architecture must be one of {', '.join(ARCHITECTURES)}; got "
            f"{shown(name)}. {suggestion(name, ARCHITECTURES)}Other models cannot be loaded."
        )
    return ARCHITECTURES[name]


def describe(file, family):
    """What a file says of its model: keys without the architecture's name, and what tensors tell.

    "attention_bias" is one of `"none"`, `"qkv"` and `"all"`; "tied" whether the head is the table
    of tokens, as it is where a file repeats it.
    """
    start = f"{family.name}."
    found = {
        key.removeprefix(start): value
        for key, value in file.metadata.items()
        if key.startswith(start)
    }
    has_biases = "blk.0.attn_q.bias" in file.names
    found["attention_bias"] = (
        "none" if not has_biases else "all" if "blk.0.attn_output.bias" in file.names else "qkv"
    )
    found["mlp_bias"] = "blk.0.ffn_up.bias" in file.names
    found["tied"] = not has_own_head(file)
    if "token_embd.weight" in file.names:
        found["vocab_size"] = file.shape("token_embd.weight")[0]
    if FACTORS in file.names:
        found[FACTORS] = np.asarray(file.read(FACTORS), "float32")
    return found


def has_own_head(file):
    """Whether a file has a head that is not its table of tokens."""
    names = "output.weight", "token_embd.weight"
    if not set(names) <= set(file.names):
        return names[0] in file.names
    if len({(file.kind(name), file.shape(name)) for name in names}) > 1:
        return True
    head, table = (file.read(name) for name in names)
    return not np.array_equal(head, table)


def read_tokenizer(path):
    """The tokenizer of a file, or None where it has none."""
    with gguf.GgufFile(path) as file:
        if "tokenizer.ggml.model" not in file.metadata:
            return None
        contents, _ = gguf.read_tokenizer(file.metadata, path)
    return Tokenizer(contents, source=f"{path}: its tokenizer")


def find_weights(path):
    """Nothing to find: a file has its weights."""


def read_special_tokens(path, tokenizer, vocab_size):
    """The `SpecialTokens` of a file; None where it has no tokenizer."""
    with gguf.GgufFile(path) as file:
        if "tokenizer.ggml.model" not in file.metadata:
            return None
        _, roles = gguf.read_tokenizer(file.metadata, path)
        further = [file.metadata.get(f"tokenizer.ggml.{name}") for name in FURTHER_STOPS]
    stops = [roles.pop("stop", None), *further]
    stops = [i for i in stops if type(i) is int and 0 <= i < vocab_size]
    return SpecialTokens(**roles, stop=tuple(dict.fromkeys(stops)))


def load_weights(model, path, backbone_only=False, is_checked=False):
    """Fill a task from a file; see `zoo.checkpoints.load_weights`."""
    with gguf.GgufFile(path) as file:
        is_own_task = model.task_name == "causal_lm"
        heads = "none" if backbone_only else "all" if is_own_task else "shared"
        missing = engine.fill(model, file, family_of(file), "causal_lm", heads, path)
        if heads == "shared":
            warn_of_new_heads(path, missing)
