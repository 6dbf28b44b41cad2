"""Rows of decoders with rotary positions: each scaling, windows, grouped heads, biases, norms."""

from benchmarks.parity.case import LABELS, VOCAB_SIZE, Case, variants

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 29,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
GROUPED = {**SIZES, "num_key_value_heads": 2, "rms_norm_eps": 1e-3}
LAYERS = ["full_attention", "sliding_attention", "full_attention"]
EARLY = {"original_max_position_embeddings": 8}  # so that waves are of all kinds
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, **EARLY}
YARN = {"factor": 4.0, **EARLY}


def rope(kind, **numbers):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 5e3, **numbers}}


def causal(family, start, config, changes):
    """A causal language model, its variants, its backbone alone, and a classifier over it.

    What sets most of them apart is in their configs, which tests take back and forth by themselves.
    """
    is_usual = family in ("llama", "qwen3", "gpt_neox")
    yield Case(family, f"{start}ForCausalLM", config, is_usual=is_usual)
    yield from variants(family, f"{start}ForCausalLM", config, changes, is_usual=False)
    yield Case(family, f"{start}Model", {**config, "tie_word_embeddings": True}, is_usual=False)
    yield Case(
        family,
        f"{start}ForSequenceClassification",
        {**config, **LABELS, "pad_token_id": 0},
        is_usual=family == "llama",
    )


DECODERS = (
    *causal(
        "llama",
        "Llama",
        {**GROUPED, "head_dim": 6, "tie_word_embeddings": False},
        {
            "tied, biases": {
                "tie_word_embeddings": True,
                "attention_bias": True,
                "mlp_bias": True,
                "num_key_value_heads": 6,
            },
            "gelu": {"hidden_act": "gelu"},
            "linear": rope("linear", factor=2.5),
            "dynamic": rope("dynamic", factor=2.0),
            "llama3": rope("llama3", **LLAMA3),
            "yarn": rope("yarn", **YARN),
            "yarn, two scales": rope(
                "yarn", **YARN, mscale=2.0, mscale_all_dim=0.5, beta_fast=16.0, truncate=False
            ),
        },
    ),
    *causal(
        "mistral",
        "Mistral",
        {**GROUPED, "hidden_size": 26, "head_dim": 10, "sliding_window": 5},
        {},
    ),
    *causal(
        "qwen2",
        "Qwen2",
        {**GROUPED, "tie_word_embeddings": True},
        {
            "windows": {
                "use_sliding_window": True,
                "sliding_window": 4,
                "max_window_layers": 1,
                "tie_word_embeddings": False,
            },
        },
    ),
    *causal(
        "qwen3",
        "Qwen3",
        {
            **GROUPED,
            "head_dim": 10,
            "use_sliding_window": True,
            "sliding_window": 3,
            "layer_types": LAYERS,
        },
        {"biases": {"attention_bias": True, "use_sliding_window": False, "layer_types": None}},
    ),
    *causal(
        "smollm3",
        "SmolLM3",
        {**GROUPED, "no_rope_layer_interval": 2, "mlp_bias": True},
        {
            "windows": {
                "no_rope_layers": [0, 1, 1],
                "use_sliding_window": True,
                "sliding_window": 4,
                "tie_word_embeddings": False,
            },
        },
    ),
    *causal(
        "gpt_neox",
        "GPTNeoX",
        {**SIZES, "rope_parameters": {"partial_rotary_factor": 0.5}},
        {
            "serial, tied": {
                **rope("linear", factor=2.0, partial_rotary_factor=1.0),
                "use_parallel_residual": False,
                "attention_bias": False,
                "tie_word_embeddings": True,
                "hidden_act": "gelu_new",
            },
        },
    ),
)
