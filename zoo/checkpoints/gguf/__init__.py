"""GGUF files, llama.cpp's, as models: `zoo.load("file.gguf")`, `zoo.save(..., format="gguf")`."""

from zoo.checkpoints.gguf.reading import (
    find_weights,
    is_gguf,
    load_weights,
    read_config,
    read_special_tokens,
    read_tokenizer,
)
from zoo.checkpoints.gguf.writing import KINDS, write_file

__all__ = [
    "KINDS",
    "find_weights",
    "is_gguf",
    "load_weights",
    "read_config",
    "read_special_tokens",
    "read_tokenizer",
    "write_file",
]
