"""Tokenizers as TensorFlow operations, for graphs that take and return text."""
