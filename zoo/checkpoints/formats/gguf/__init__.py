"""GGUF, llama.cpp's format: configuration, tokenizer and weights in one file.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from zoo.checkpoints.formats.gguf.reader import GgufFile
from zoo.checkpoints.formats.gguf.tokenizer import read_tokenizer
from zoo.checkpoints.formats.gguf.writer import write

__all__ = ["GgufFile", "read_tokenizer", "write"]
