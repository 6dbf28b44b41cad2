"""Objectives: token ids to `(inputs, labels, sample_weight)`, in NumPy alone."""

from zoo.objectives.causal_lm import PackedCausalLM, next_token_rows
from zoo.objectives.padding import pad

__all__ = ["PackedCausalLM", "next_token_rows", "pad"]
