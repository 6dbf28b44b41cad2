"""What sentence-transformers has beside a model: how an embedding is made of its output."""

import json

from zoo.checks import shown
from zoo.config import read_object
from zoo.tensors.checks import damaged

POOLING_NAME = "1_Pooling/config.json"
MODULES_NAME = "modules.json"
MODULES = ("Transformer", "Pooling", "Normalize")  # those that ours stands for
MEAN = "pooling_mode_mean_tokens"


def is_embedder(folder):
    """Whether a folder is of a model that embeds texts."""
    return (folder / POOLING_NAME).exists() or (folder / MODULES_NAME).exists()


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


def write_pooling(folder, hidden_dim):
    """Write what makes sentence-transformers embed as `zoo.TextEmbedder` does."""
    path = folder / POOLING_NAME
    path.parent.mkdir()
    pooling = {"word_embedding_dimension": hidden_dim, "pooling_mode_cls_token": False, MEAN: True}
    path.write_text(json.dumps(pooling, indent=2) + "\n", encoding="utf-8")
    places = "", POOLING_NAME.split("/")[0], "2_Normalize"
    modules = [
        {"idx": i, "name": str(i), "path": place, "type": f"sentence_transformers.models.{kind}"}
        for i, (place, kind) in enumerate(zip(places, MODULES, strict=True))
    ]
    text = json.dumps(modules, indent=2) + "\n"
    (folder / MODULES_NAME).write_text(text, encoding="utf-8")


def module_kinds(path):
    """The names of the classes in a modules.json, without their modules."""
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [module["type"].split(".")[-1] for module in modules]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise damaged(path, "it must list modules, each with its type") from None
