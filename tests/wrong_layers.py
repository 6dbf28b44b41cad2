"""What the arguments of layers and objectives must not be; `test_wrong_layers.py` tries all of it.

A row is `name: (sound arguments, {argument: kind})`. What a layer's constructor must not be given
follows from what it declares, and is not written down again.
"""

import math

import numpy as np

import zoo
from zoo import layers, objectives

NAN = math.nan
STATES = np.ones((2, 3, 8), "float32")
IDS = np.ones((2, 3), "int32")


def block():
    return layers.TransformerBlock(layers.MultiHeadAttention(2), layers.FeedForward(8))


LAYERS = {  # sound arguments of each constructor, and a sound first input
    "ALiBi": ({"num_heads": 2}, None),
    "BahdanauAttention": ({"units": 8}, (STATES, STATES, STATES)),
    "Bias": ({}, (STATES,)),
    "BidirectionalLSTM": ({"units": 8}, (STATES,)),
    "FeedForward": ({"mlp_dim": 8}, (STATES,)),
    "GatedFeedForward": ({"mlp_dim": 8}, (STATES,)),
    "LSTMLayer": ({"units": 8}, (STATES,)),
    "LastToken": ({}, (STATES,)),
    "LockedDropout": ({"rate": 0.5}, (STATES,)),
    "LuongAttention": ({"units": 8}, (STATES, STATES, STATES)),
    "MeanPooling": ({}, (STATES,)),
    "MultiHeadAttention": ({"num_heads": 2}, (STATES,)),
    "ParallelBlock": (vars, (STATES,)),
    "Pooler": ({}, (STATES,)),
    "PositionEmbedding": ({"max_length": 4}, (STATES,)),
    "PredictionTransform": ({}, (STATES,)),
    "RecurrentDecoder": ({"num_layers": 1, "units": 8, "attention": None}, None),
    "RelativePositionBias": ({"num_heads": 2}, None),
    "RotaryEmbedding": ({}, (np.ones((2, 3, 2, 4), "float32"),)),
    "SegmentEmbedding": ({}, (STATES,)),
    "SinusoidalPositions": ({}, (STATES,)),
    "SwiGLU": ({"mlp_dim": 8}, (STATES,)),
    "TakePositions": ({}, (STATES,)),
    "TokenEmbedding": ({"input_dim": 9, "output_dim": 8}, (IDS,)),
    "TransformerBlock": (vars, (STATES,)),
    "WordDropout": ({"rate": 0.5, "vocab_size": 9}, (STATES, IDS)),
}
LEFT_OUT = {  # with the reason
    "AttentionPosition",  # what positions are made of
    "TokenCrossEntropy",  # a loss, below
    *("causal_mask", "combine_masks", "open_empty_rows", "padding_mask_to_attention"),
    *("gelu_tanh", "head_cross_entropy", "is_likeliest", "take_rows", "token_nats"),
    "watch",  # formulas of tensors, which they take as the backend does
}


def arguments_of(name):
    """Sound arguments of a layer's constructor."""
    given = LAYERS[name][0]
    if given is not vars:
        return dict(given)
    return {"attention": layers.MultiHeadAttention(2), "feed_forward": layers.FeedForward(8)}


DOCUMENTS = [[1, 2, 3], [4, 5]]
SENTENCES = [[[1, 2], [3]], [[4], [5, 6]]]
RNG = np.random.default_rng(0)
KINDS = {
    "rows of ids": ((None, 5, "abc", {"a": 1}, ["a"], [5], [[1.5]], [[NAN]], [[-1]]), "ids|rows"),
    "sentences": ((None, 5, "abc", ["abc"], [5], [[5]], [[[1.5]]], [[["a"]]]), "sentence|ids"),
    "generator": ((None, 5, "a", NAN), "rng"),
    "weights": ((5, "ab", [1.0], [1.0] * 3, [NAN, 1.0], [-1.0, 1.0], ["a", "b"]), "weight"),
    "ids": ((None, "a", 5, [1], [[1]], [[1.5, 2.0]], [["a", "b"]]), "ids|rows"),
    "mask or none": (([True], [[True]], "a", 5), "mask"),
    "text of sentences": ((None, 5, ["a"], b"a"), "text"),
    "stream": ((None, "a", 5, [1.5, 2.0], [[1, 2]], [1]), "stream|ids"),
    "size": ((0, -1, 1.5, "a", None, NAN), "batch_size|length"),
}
CALLS = {  # of objectives: what is called, with sound arguments
    "PackedCausalLM": (
        lambda: objectives.PackedCausalLM(4, 0),
        {"documents": DOCUMENTS},
        {"documents": "rows of ids", "weights": "weights"},
    ),
    "ContinuedCausalLM": (
        lambda: objectives.ContinuedCausalLM(2, 2, 0),
        {"documents": DOCUMENTS},
        {"documents": "rows of ids"},
    ),
    "SpanCorruption": (
        lambda: objectives.SpanCorruption([9, 8, 7]),
        {"rows": DOCUMENTS, "rng": RNG},
        {"rows": "rows of ids", "rng": "generator"},
    ),
    "TextInfilling": (
        lambda: objectives.TextInfilling(9),
        {"rows": DOCUMENTS, "rng": RNG},
        {"rows": "rows of ids", "rng": "generator"},
    ),
    "SentencePermutation": (
        lambda: objectives.SentencePermutation(),
        {"documents": SENTENCES, "rng": RNG},
        {"documents": "sentences", "rng": "generator"},
    ),
    "NextSentencePairs": (
        lambda: objectives.NextSentencePairs(8, 0, 1),
        {"documents": SENTENCES, "rng": RNG},
        {"documents": "sentences", "rng": "generator"},
    ),
    "MaskTokens": (
        lambda: objectives.MaskTokens(3, 10),
        {"token_ids": IDS, "padding_mask": IDS > 0, "rng": RNG},
        {"token_ids": "ids", "padding_mask": "mask or none", "rng": "generator"},
    ),
    "next_token_rows": (
        lambda: objectives.next_token_rows,
        {"token_ids": IDS},
        {"token_ids": "ids", "padding_mask": "mask or none"},
    ),
    "continued_rows": (
        lambda: objectives.continued_rows,
        {"stream": np.arange(9), "batch_size": 2, "length": 2},
        {"stream": "stream", "batch_size": "size", "length": "size"},
    ),
    "packed_batches": (
        lambda: lambda **arguments: list(objectives.packed_batches(**arguments)),
        {"documents": [([1, 2], 1.0)], "length": 2, "batch_size": 2, "separator_id": 0},
        {"batch_size": "size", "length": "size"},
    ),
    "pad": (lambda: objectives.pad, {"rows": DOCUMENTS}, {"rows": "rows of ids"}),
    "split_sentences": (
        lambda: objectives.split_sentences,
        {"text": "A. B."},
        {"text": "text of sentences"},
    ),
}
MADE = {  # sound arguments of the objectives' constructors
    "PackedCausalLM": {"length": 4, "separator_id": 0},
    "ContinuedCausalLM": {"batch_size": 2, "length": 2, "separator_id": 0},
    "SpanCorruption": {"sentinel_ids": [9, 8]},
    "TextInfilling": {"mask_id": 9},
    "NextSentencePairs": {"length": 8, "start_id": 0, "separator_id": 1},
    "MaskTokens": {"mask_id": 3, "vocab_size": 10},
}
assert zoo.layers is layers
