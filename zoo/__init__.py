"""Small, readable language models on Keras 3: load, train, generate, save and export."""

from importlib.metadata import version

from zoo.keras_import import import_keras

import_keras()

from zoo import generation, layers, models, objectives, tokenizers
from zoo.catalog import list_presets
from zoo.exporting import export
from zoo.loading import load, save
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
    "export",
    "generation",
    "layers",
    "list_presets",
    "load",
    "models",
    "objectives",
    "save",
    "tokenizers",
]
