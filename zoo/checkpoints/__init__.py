"""Folders that Hugging Face transformers wrote, read as if they were presets.

config.json          with a "model_type": `zoo.checkpoints.configs`
model.safetensors    `zoo.checkpoints.engine`, by the tables in `zoo.checkpoints.families`
tokenizer.json       or vocab.txt, or neither: `zoo.checkpoints.vocabularies`
1_Pooling/           of sentence-transformers, with modules.json
"""

from pathlib import Path

from zoo import hub
from zoo.checkpoints import engine
from zoo.checkpoints.configs import is_foreign, read_config, read_theirs, task_of
from zoo.checkpoints.sentence_transformers import check_pooling
from zoo.checkpoints.vocabularies import read_tokenizer
from zoo.shared_weights import warn_of_random_heads
from zoo.tasks import TASKS, TextEmbedder

__all__ = ["is_foreign", "load_weights", "read_config", "read_tokenizer", "weights_file"]


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
