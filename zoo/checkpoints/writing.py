"""A task as a folder that transformers opens: `zoo.save(model, folder, format="transformers")`.

config.json  model.safetensors  tokenizer.json  tokenizer_config.json  special_tokens_map.json
generation_config.json, of models that write  ·  1_Pooling/, modules.json, of models that embed
"""

from importlib.metadata import version

from zoo import hub, tensors
from zoo.checkpoints import roles
from zoo.checkpoints.configs import make_config
from zoo.checkpoints.engine import TheirTensors
from zoo.checkpoints.families import FOREIGN
from zoo.checkpoints.families.transformer import TRANSFORMERS
from zoo.checkpoints.requests import their_request
from zoo.checkpoints.sentence_transformers import MODULES_NAME, POOLING_NAME, write_pooling
from zoo.checkpoints.vocabularies import write_json, write_tokenizer
from zoo.tasks import CausalLM, Seq2SeqLM, TextClassifier, TextEmbedder

WRITTEN = (  # patterns of the files, beside those that every preset has
    roles.GENERATION_CONFIG_NAME,
    roles.TOKENIZER_CONFIG_NAME,
    roles.SPECIAL_TOKENS_NAME,
    roles.TARGET_TOKENIZER_NAME,
    MODULES_NAME,
    POOLING_NAME.split("/")[0],
)


def write_folder(model, folder, weights_dtype=None, max_shard_size="5GB"):
    """Write a task into an empty folder; what does not fit is refused before anything is written.

    Args:
        model: a task.
        folder: a Path.
        weights_dtype: `"float16"` or `"bfloat16"` to round the weights to, or None.
        max_shard_size: bytes, or text such as `"5GB"`: larger weights are written in several files.

    Raises:
        ValueError: there is no such model in transformers.
    """
    family, config = family_of(model)
    config["zoo_version"] = version("keras-zoo")  # says that zoo.save may replace the folder
    if weights_dtype is not None:
        config["dtype"] = weights_dtype
    ids = their_ids(model, family)
    write_json(folder / hub.CONFIG_NAME, config | ids)
    if model.tokenizer is not None:
        write_tokenizer(model, family, folder)
    if isinstance(model, (CausalLM, Seq2SeqLM)):
        write_json(folder / roles.GENERATION_CONFIG_NAME, ids | their_request(model))
    if isinstance(model, TextEmbedder):
        write_pooling(folder, model.backbone.hidden_dim)
    with TheirTensors(model, family, weights_dtype) as theirs:
        tensors.write_folder(folder, theirs, max_shard_size)


def their_ids(model, family):
    """The ids of special tokens for config.json, which may ask for one of them."""
    ids = roles.their_ids(model.special_tokens, family.roles)
    if isinstance(model, TextClassifier) and model.backbone.reads_on:
        ids["pad_token_id"] = padding_of(model)
    for key, needed in family.fixed.items():
        if key in ids and ids[key] is None and model.tokenizer is None:
            ids[key] = needed
        if key in ids and ids[key] != needed:
            raise ValueError(
                f"{key} must be {needed} in a {family.name} model of transformers, whose positions "
                f"are counted from it; this task has {ids[key]}. zoo.save(model, folder) writes a "
                "preset; to write it for transformers, train a tokenizer that has the token there."
            )
    return ids


def padding_of(model):
    """The id by which their classifiers tell padding from the last token of a row."""
    special = model.special_tokens
    if not model.add_special_tokens:  # a text has neither of the two
        return special.end if special.padding is None else special.padding
    if special.padding not in (None, special.between):
        return special.padding
    return 0 if special.between else 1  # no row ends in it


def family_of(model):
    """The `Family` that a task can be written as, and their config of it."""
    ours = type(model.backbone).family
    families = [family for family in (*FOREIGN.values(), *TRANSFORMERS) if family.family == ours]
    reasons = []
    for family in families:
        try:
            return family, make_config(model, family)
        except ValueError as error:
            reasons.append(f"{family.name}: {error}")
    if not families:
        known = ", ".join(dict.fromkeys(family.family for family in FOREIGN.values()))
        reasons = [f"of the families of zoo it has {known}"]
    raise ValueError(
        f"transformers has no model that is this {type(model).__name__} over a "
        f"{type(model.backbone).__name__} ({'; '.join(reasons)}). zoo.save(model, folder) writes a "
        "preset."
    )
