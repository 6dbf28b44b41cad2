"""Objectives: token ids to `(inputs, labels, sample_weight)`, in NumPy alone."""

from zoo.objectives.causal_lm import PackedCausalLM, next_token_rows, packed_batches
from zoo.objectives.denoising import SentencePermutation, SpanCorruption, TextInfilling
from zoo.objectives.masked_lm import MaskTokens
from zoo.objectives.next_sentence import NextSentencePairs
from zoo.objectives.padding import pad
from zoo.objectives.sentences import split_sentences
from zoo.objectives.stream import ContinuedCausalLM, continued_rows

__all__ = [
    "ContinuedCausalLM",
    "MaskTokens",
    "NextSentencePairs",
    "PackedCausalLM",
    "SentencePermutation",
    "SpanCorruption",
    "TextInfilling",
    "continued_rows",
    "next_token_rows",
    "packed_batches",
    "pad",
    "split_sentences",
]
