"""One row for each family: a tiny configuration, which the tests of all families run over.

A row is `{name: arguments}`; a name is a family's, or that and a variant after a colon.
"""

import numpy as np

from tests.models import random_ids, with_weights
from zoo.models import FAMILIES

SIZES = {"vocab_size": 300, "num_layers": 2, "hidden_dim": 16, "max_length": 16, "dropout": 0.0}
HEADS = {"num_heads": 2}

ROWS = {
    "gpt": HEADS,
    "gpt_neox": {**HEADS, "rotary_dim": 4},
    "gpt_neox: serial": {**HEADS, "parallel": False, "tied": True, "attention_bias": False},
    "llama": {**HEADS, "mlp_dim": 20},
    "llama: mistral": {"num_heads": 3, "num_kv_heads": 1, "head_dim": 6, "sliding_window": 4},
    "llama: qwen2": {
        **HEADS,
        "attention_bias": "qkv",
        "tied": False,
        "sliding_window": 2,
        "sliding_pattern": [False, True],
        "rotary_scaling": {"kind": "yarn", "factor": 2.0, "original_length": 8},
    },
    "llama: qwen3": {
        **HEADS,
        "qk_norm": True,
        "rotary_scaling": {"kind": "dynamic", "factor": 2.0, "original_length": 4},
    },
    "llama: smollm3": {
        **HEADS,
        "attention_bias": "all",
        "mlp_bias": True,
        "rotary_pattern": [True, False],
        "rotary_scaling": {
            "kind": "llama3",
            "factor": 2.0,
            "low": 1.0,
            "high": 4.0,
            "original_length": 8,
        },
    },
    "bert": HEADS,
    "bert: no segments": {**HEADS, "num_segments": 0, "mlp_dim": 24},
    "roberta": HEADS,
    "distilbert": HEADS,
    "transformer": HEADS,
    "transformer: learned": {**HEADS, "position": "learned", "pre_norm": True},
    "transformer: relative": {**HEADS, "position": "relative"},
    "transformer: untied": {**HEADS, "tied": False},
    "t5": {**HEADS, "head_dim": 5},
    "t5: gated": {**HEADS, "activation": "gated_gelu_tanh", "tied": False},
    "bart": {**HEADS, "num_decoder_layers": 1},
    "bart: pre-norm": {**HEADS, "pre_norm": True, "scaled": True, "activation": "relu"},
    "marian": HEADS,
    "marian: pre-norm": {**HEADS, "pre_norm": True, "mlp_dim": 24},
    "lstm": {"inner_dim": 24},
    "lstm: bidirectional": {"bidirectional": True},
    "lstm_seq2seq": {},
    "lstm_seq2seq: bahdanau": {"attention": "bahdanau", "bidirectional": False},
    "lstm_seq2seq: states alone": {"attention": None},
}
LENGTH = 7
MASK = np.arange(LENGTH) < np.array([[LENGTH], [4]])


def config_of(row, **overrides):
    """The family and the arguments of a row, as a preset's config has them."""
    return {"family": row.split(":")[0], "backbone": {**SIZES, **ROWS[row], **overrides}}


def tiny(row, **overrides):
    """A backbone whose weights are drawn by NumPy, so that every backend has the same."""
    config = config_of(row, **overrides)
    return with_weights(FAMILIES[config["family"]](**config["backbone"]))


def reads_pairs(row):
    return "seq2seq" in FAMILIES[row.split(":")[0]].tasks


def is_causal(row):
    """Whether a position sees only those before it: of the target, where there are pairs."""
    causal = {"causal_lm", "seq2seq"} & set(FAMILIES[row.split(":")[0]].tasks)
    return bool(causal) and row != "lstm: bidirectional"


def inputs(row, padded="padding_mask"):
    """Two rows of token ids, the second one padded; `padded` is the mask that is given."""
    batch = {"token_ids": random_ids(2, LENGTH)}
    if reads_pairs(row):
        batch["decoder_token_ids"] = random_ids(2, LENGTH, seed=1)
    return {**batch, padded: MASK} if padded else batch
