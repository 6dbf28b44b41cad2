"""Backbones: token ids in, hidden states out."""

from zoo.models.base import Backbone
from zoo.models.gpt import GPT

__all__ = ["GPT", "Backbone"]
