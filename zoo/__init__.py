"""Small, readable language models on Keras 3: load, train, generate, save and export."""

from importlib.metadata import version

# `backends` comes first: it imports Keras as the backend needs it.
from zoo import backends, data, generation, layers, models, objectives, tokenizers
from zoo.catalog import list_presets
from zoo.exporting import export
from zoo.loading import load
from zoo.pushing import push
from zoo.saving import save
from zoo.tasks import (
    BertPretrainer,
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    Seq2SeqLM,
    TextClassifier,
    TextEmbedder,
    TokenClassifier,
)

__version__ = version("keras-zoo")

__all__ = [
    "BertPretrainer",
    "CausalLM",
    "MaskedLM",
    "QuestionAnswerer",
    "Seq2SeqLM",
    "TextClassifier",
    "TextEmbedder",
    "TokenClassifier",
    "__version__",
    "backends",
    "data",
    "export",
    "generation",
    "layers",
    "list_presets",
    "load",
    "models",
    "objectives",
    "push",
    "save",
    "tokenizers",
]
