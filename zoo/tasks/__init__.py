"""Tasks: a backbone with a head, a tokenizer and an objective."""

from zoo.tasks.base import Task
from zoo.tasks.causal_lm import CausalLM
from zoo.tasks.language_model import LanguageModel, Perplexity

__all__ = ["CausalLM", "LanguageModel", "Perplexity", "Task"]
