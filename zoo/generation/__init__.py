"""Decoding: samplers, and the cached loop that uses them."""

from zoo.generation.beam import Beam
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
from zoo.generation.seq2seq import generate_targets
from zoo.generation.seq2seq_decoder import Seq2SeqDecoder

__all__ = [
    "Beam",
    "Decoder",
    "Decoding",
    "Greedy",
    "MinP",
    "Request",
    "Sampler",
    "Seq2SeqDecoder",
    "Temperature",
    "TopK",
    "TopP",
    "choose_tokens",
    "generate",
    "generate_targets",
    "get_sampler",
    "stream",
]
