"""Hugging Face transformers with a static cache and a compiled forward pass: generation only."""

import torch

from benchmarks.libraries.gpt import transformers


def build(sizes):
    built = transformers.build(sizes)
    built.model.generation_config.cache_implementation = "static"
    built.model.forward = torch.compile(built.model.forward)
    return built
