"""Checkpoints of other libraries, read as if they were presets; and written.

A folder of Hugging Face transformers, in `folders.py`:

    config.json          with a "model_type": `zoo.checkpoints.configs`
    model.safetensors    or shards, or pickles: `engine`, by the tables in `families`
    tokenizer.json       or what came before it: `vocabularies`
    1_Pooling/           of sentence-transformers, with modules.json

A GGUF file of llama.cpp, in the package `gguf`: all of these in one.

A preset of KerasHub, in the package `keras_hub`.
"""

from zoo.checkpoints import folders, gguf, keras_hub
from zoo.checkpoints.configs import is_foreign as is_folder_of_theirs
from zoo.checkpoints.writing import WRITTEN, write_folder

__all__ = [
    "WRITTEN",
    "find_weights",
    "is_foreign",
    "load_weights",
    "read_config",
    "read_special_tokens",
    "read_tokenizer",
    "write_folder",
]


def is_foreign(path):
    """Whether a file or a folder is a checkpoint of another library."""
    return gguf.is_gguf(path) or is_folder_of_theirs(path) or keras_hub.is_preset(path)


def reader_of(path):
    """What reads a checkpoint: a module with the functions below."""
    if gguf.is_gguf(path):
        return gguf
    return keras_hub if keras_hub.is_preset(path) else folders


def read_config(path):
    """The contents of a preset's config.json that describes a checkpoint, checked.

    Raises:
        ValueError: damaged, or a model that ours cannot stand for.
    """
    return reader_of(path).read_config(path)


def find_weights(path):
    """Raise FileNotFoundError that says what must be there, where there are no weights."""
    reader_of(path).find_weights(path)


def read_tokenizer(path):
    """The tokenizer of a checkpoint, or None where it has none.

    Raises:
        ValueError: damaged, or settings that ours cannot follow.
    """
    return reader_of(path).read_tokenizer(path)


def read_special_tokens(path, tokenizer, vocab_size):
    """The `SpecialTokens` of a checkpoint, of which `tokenizer` is the tokenizer, or None."""
    return reader_of(path).read_special_tokens(path, tokenizer, vocab_size)


def load_weights(model, path, backbone_only=False, is_checked=False):
    """Fill a task from the weights of a checkpoint.

    Every tensor of theirs is used, or known not to be needed; every weight of the backbone is
    filled. A head that the file lacks keeps its random weights, with a warning that names it,
    unless it was saved for this very task; one that only the file has is left out. Numbers are
    widened or rounded to the dtype of the model.

    Args:
        model: a task on the backbone that `read_config(path)` describes.
        path: of a file or a folder.
        backbone_only: bool, whether all heads keep their random weights.
        is_checked: bool, whether the files are known to be what was saved.

    Raises:
        FileNotFoundError: there are no weights.
        ValueError: damaged, of another model, or with a head that ours cannot stand for; the model
            is unchanged. NaN or infinite weights: the model is then partly filled.
    """
    reader_of(path).load_weights(model, path, backbone_only, is_checked)
