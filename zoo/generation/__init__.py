"""Decoding, from token ids to token ids: samplers, beam search, and the loop that uses them."""

from zoo.generation.contrastive import Contrastive
from zoo.generation.decoder import Decoder
from zoo.generation.decoding import Decoding
from zoo.generation.drawing import choose_tokens
from zoo.generation.generate import generate, stream
from zoo.generation.names import Greedy, MinP, Temperature, TopK, TopP, get_sampler
from zoo.generation.processors import (
    Constraint,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    OccurrencePenalty,
    Processor,
    RepetitionPenalty,
)
from zoo.generation.request import Request
from zoo.generation.samplers import Beam, Sampler
from zoo.generation.scores import Scored

__all__ = [
    "Beam",
    "Constraint",
    "Contrastive",
    "Decoder",
    "Decoding",
    "Greedy",
    "LogitBias",
    "MinNewTokens",
    "MinP",
    "NoRepeatNGram",
    "OccurrencePenalty",
    "Processor",
    "RepetitionPenalty",
    "Request",
    "Sampler",
    "Scored",
    "Temperature",
    "TopK",
    "TopP",
    "choose_tokens",
    "generate",
    "get_sampler",
    "stream",
]
