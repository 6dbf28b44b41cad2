"""Corpora, data files, schedules and the recipes that made the shipped presets."""
