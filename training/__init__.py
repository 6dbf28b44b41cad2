"""Corpora, data files, schedules, runs that survive, and the recipes that made the presets."""

from zoo.training.distribution import distribute
from zoo.training.resuming import Checkpoint

__all__ = ["Checkpoint", "distribute"]
