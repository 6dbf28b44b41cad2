"""Small models, and the files that zoo.save writes of them."""

import functools
import tempfile
from pathlib import Path

import numpy as np

import zoo

VOCAB_SIZE = 300
TEXTS = ("The sea was calm and the sky was grey.", "“Come in,” said the captain; — 数字 🙂 naïve")
SIZES = {"vocab_size": VOCAB_SIZE, "num_layers": 1, "num_heads": 2, "hidden_dim": 16}


def with_weights(model):
    rng = np.random.default_rng(0)
    for weight in sorted(model.weights, key=lambda w: w.path):
        weight.assign(rng.normal(size=weight.shape))
    return model


@functools.cache
def tiny_gpt(with_tokenizer=True):
    words = zoo.tokenizers.BytePairTokenizer.train(TEXTS, VOCAB_SIZE) if with_tokenizer else None
    backbone = zoo.models.GPT(max_length=64, **SIZES | ({} if words is None else sizes_of(words)))
    return with_weights(zoo.CausalLM(backbone, words))


def sizes_of(words):
    return {"vocab_size": words.vocab_size}


@functools.cache
def tiny_classifier():
    backbone = zoo.models.BERT(max_length=16, activation="gelu_tanh", **SIZES)
    return with_weights(zoo.TextClassifier(backbone, labels=["no", "yes"]))


@functools.cache
def folder_of(model, format):
    """`{name: bytes}` of the folder of a model."""
    with tempfile.TemporaryDirectory() as scratch:
        zoo.save(model, Path(scratch, "saved"), format=format)
        return {p.name: p.read_bytes() for p in Path(scratch, "saved").iterdir() if p.is_file()}
