"""Decoding, from token ids to token ids: samplers, beam search, and the loop that uses them."""

from zoo.generation.decoder import Decoder, Decoding
from zoo.generation.drawing import choose_tokens
from zoo.generation.generate import generate, stream
from zoo.generation.request import Request
from zoo.generation.samplers import (
    Beam,
    Greedy,
    MinP,
    Sampler,
    Temperature,
    TopK,
    TopP,
    get_sampler,
)

__all__ = [
    "Beam",
    "Decoder",
    "Decoding",
    "Greedy",
    "MinP",
    "Request",
    "Sampler",
    "Temperature",
    "TopK",
    "TopP",
    "choose_tokens",
    "generate",
    "get_sampler",
    "stream",
]
