"""Decoding: samplers, and the cached loop that uses them."""

from zoo.generation.decoder import Decoder, Decoding
from zoo.generation.generate import Request, generate, stream
from zoo.generation.samplers import (
    Greedy,
    MinP,
    Sampler,
    Temperature,
    TopK,
    TopP,
    choose_tokens,
    get_sampler,
)

__all__ = [
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
