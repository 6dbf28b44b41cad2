"""Checkpoints in formats of their own, of which `zoo.training.pretrained` makes presets."""
