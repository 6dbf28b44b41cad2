"""Presets: one folder each, with config.json, tokenizer.json, model.safetensors and a card."""
