"""Tensors by their names, in safetensors files, single or in shards: read strictly, and written.

    with open_safetensors("folder") as tensors:
        for name in tensors.names:
            tensors.shape(name), tensors.dtype(name), tensors.read(name)
    write_folder("folder", InMemory({"w": array}), max_shard_size="5GB")

One tensor is in memory at a time. Presets and folders of others are read and written by this alone.
"""

from zoo.tensors.base import InMemory, Tensors
from zoo.tensors.reading import SafetensorsFile
from zoo.tensors.shards import INDEX, NAME, Shards, find, open_safetensors
from zoo.tensors.writing import write, write_folder

__all__ = [
    "INDEX",
    "NAME",
    "InMemory",
    "SafetensorsFile",
    "Shards",
    "Tensors",
    "find",
    "open_safetensors",
    "write",
    "write_folder",
]
