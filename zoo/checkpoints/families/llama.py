"""Llama as transformers writes it, and the families that differ from it in a detail."""

from zoo.checkpoints import rotary
from zoo.checkpoints.tables import (
    ACTIVATIONS,
    DECODER_CLASSIFIER,
    DECODER_ROLES,
    SCORE,
    Family,
    Joined,
    JoinedKernels,
    Key,
    Keys,
    Unsaid,
)

ATTENTION = "layers.{i}.self_attn."
HEADS = ("num_heads", "num_kv_heads", "num_kv_heads")
BODY = {
    "token_embedding/embeddings": "embed_tokens.weight",
    "block_{i}/attention_norm/scale": "layers.{i}.input_layernorm.weight",
    "block_{i}/attention/qkv/kernel": JoinedKernels(
        [f"{ATTENTION}{name}_proj.weight" for name in "qkv"], HEADS
    ),
    "block_{i}/attention/qkv/bias": Joined(
        [f"{ATTENTION}{name}_proj.bias" for name in "qkv"], HEADS
    ),
    "block_{i}/attention/query_norm/scale": f"{ATTENTION}q_norm.weight",
    "block_{i}/attention/key_norm/scale": f"{ATTENTION}k_norm.weight",
    "block_{i}/attention/output/kernel": f"{ATTENTION}o_proj.weight",
    "block_{i}/attention/output/bias": f"{ATTENTION}o_proj.bias",
    "block_{i}/feed_forward_norm/scale": "layers.{i}.post_attention_layernorm.weight",
    "block_{i}/feed_forward/inner/kernel": (
        "layers.{i}.mlp.gate_proj.weight",
        "layers.{i}.mlp.up_proj.weight",
    ),
    "block_{i}/feed_forward/inner/bias": (
        "layers.{i}.mlp.gate_proj.bias",
        "layers.{i}.mlp.up_proj.bias",
    ),
    "block_{i}/feed_forward/outer/kernel": "layers.{i}.mlp.down_proj.weight",
    "block_{i}/feed_forward/outer/bias": "layers.{i}.mlp.down_proj.bias",
    "norm/scale": "norm.weight",
}
OPTIONAL = tuple(
    name for name in BODY if name.endswith("/bias") or "query_norm" in name or "key_norm" in name
)
BIASES = {False: "none", True: "all"}
SIZES = {
    "vocab_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "mlp_dim": "intermediate_size",
    "max_length": "max_position_embeddings",
    "activation": Key("hidden_act", "silu", values=ACTIVATIONS),
    "norm_epsilon": Key("rms_norm_eps", 1e-6),
    "dropout": Unsaid(),
    "attention_dropout": Key("attention_dropout", is_read=False),
}
ROTARY, WINDOW = ("rotary_base", "rotary_scaling"), ("sliding_window", "sliding_pattern")


class DividedHeads(Keys):
    """`head_dim`, of a class that wants `hidden_dim` to be a multiple of the heads all the same."""

    def to_ours(self, theirs):
        return {"head_dim": theirs.get("head_dim")}

    def to_theirs(self, arguments):
        hidden_dim, num_heads = arguments["hidden_dim"], arguments["num_heads"]
        if hidden_dim % num_heads:
            raise ValueError(f"{hidden_dim} must be a multiple of the {num_heads} heads there")
        return {"head_dim": arguments["head_dim"]}


def family(name, cls, arguments, constants):
    return Family(
        name=name,
        family="llama",
        prefix="model.",
        arguments={**SIZES, **arguments},
        constants=constants,
        architectures={
            f"{cls}ForCausalLM": "causal_lm",
            f"{cls}Model": "causal_lm",
            f"{cls}ForSequenceClassification": "text_classification",
        },
        task_constants={"text_classification": DECODER_CLASSIFIER},
        bare=f"{cls}Model",
        body=BODY,
        heads_of={"causal_lm": {"head/kernel": "lm_head.weight"}, "text_classification": SCORE},
        optional=("head/kernel", *OPTIONAL),
        tied={"lm_head.weight": "embed_tokens.weight"},
        unused=("rotary_emb.inv_freq", "layers.{i}.self_attn.rotary_emb.inv_freq"),
        roles={**DECODER_ROLES, "unknown": "unk_token"},
    )


LLAMA = family(
    "llama",
    "Llama",
    {
        "num_kv_heads": Key("num_key_value_heads", None),
        ("head_dim",): DividedHeads(),
        "attention_bias": Key("attention_bias", "none", values=BIASES),
        "mlp_bias": Key("mlp_bias", False),
        "tied": Key("tie_word_embeddings", False),
        ROTARY: rotary.Rotary(),
        WINDOW: rotary.NoWindow(),
        ("rotary_pattern",): rotary.NoPattern(),
    },
    {"qk_norm": False},
)
MISTRAL = family(
    "mistral",
    "Mistral",
    {
        "num_kv_heads": Key("num_key_value_heads", 8),
        "head_dim": Key("head_dim", None),
        "tied": Key("tie_word_embeddings", False),
        ROTARY: rotary.Rotary(),
        WINDOW: rotary.OneWindow(),
        ("rotary_pattern",): rotary.NoPattern(),
    },
    {"qk_norm": False, "attention_bias": "none", "mlp_bias": False},
)
QWEN2 = family(
    "qwen2",
    "Qwen2",
    {
        "num_kv_heads": Key("num_key_value_heads", 32),
        "head_dim": Key("head_dim", None),
        "tied": Key("tie_word_embeddings", False),
        ROTARY: rotary.Rotary(),
        WINDOW: rotary.Windows(rotary.last_layers),
        ("rotary_pattern",): rotary.NoPattern(),
    },
    {"qk_norm": False, "attention_bias": "qkv", "mlp_bias": False},
)
QWEN3 = family(
    "qwen3",
    "Qwen3",
    {
        "num_kv_heads": Key("num_key_value_heads", 32),
        "head_dim": Key("head_dim", 128),
        "attention_bias": Key("attention_bias", "none", values=BIASES),
        "tied": Key("tie_word_embeddings", False),
        ROTARY: rotary.Rotary(),
        WINDOW: rotary.Windows(rotary.last_layers),
        ("rotary_pattern",): rotary.NoPattern(),
    },
    {"qk_norm": True, "mlp_bias": False},
)
SMOLLM3 = family(
    "smollm3",
    "SmolLM3",
    {
        "num_kv_heads": Key("num_key_value_heads", 4),
        "head_dim": Key("head_dim", None),
        "attention_bias": Key("attention_bias", "none", values=BIASES),
        "mlp_bias": Key("mlp_bias", False),
        "tied": Key("tie_word_embeddings", True),
        ROTARY: rotary.Rotary(2_000_000.0),
        WINDOW: rotary.Windows(rotary.layers_without_positions),
        ("rotary_pattern",): rotary.SomeRotary(),
    },
    {"qk_norm": False},
)
