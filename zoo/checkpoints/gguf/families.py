"""Tables of the architectures of GGUF files, by llama.cpp's names.

https://github.com/ggml-org/llama.cpp/blob/master/src/llama-arch.cpp. What a file says of its model
is its metadata without the architecture's name before each key, and what its tensors tell: see
`describe` in `reading.py`.
"""

from zoo.checkpoints.gguf.rotary import Rotary
from zoo.checkpoints.rotary import NoPattern, NoWindow, layers
from zoo.checkpoints.tables import Family, Joined, JoinedKernels, Key, Keys, Unsaid

HEADS = ("num_heads", "num_kv_heads", "num_kv_heads")
NAMES = [f"blk.{{i}}.attn_{name}" for name in "qkv"]


class Told(Key):
    """An argument that the tensors of a file tell, and no key."""

    def to_theirs(self, value):
        if self.values is not None and value not in self.values.values():
            raise ValueError(f"it must be one of {', '.join(self.values.values())}; got {value}")
        return {}


class HeadDim(Keys):
    """`head_dim`, of which keys, values and rotary positions have a key each."""

    names = ("attention.key_length", "attention.value_length", "rope.dimension_count")

    def to_ours(self, theirs):
        said = {theirs[name] for name in self.names if name in theirs}
        if len(said) > 1:
            raise ValueError(f"its {', '.join(self.names)} must be equal; got {sorted(said)}")
        return {"head_dim": said.pop() if said else None}

    def to_theirs(self, arguments):
        return dict.fromkeys(self.names, arguments["head_dim"])


class EveryFourth(Keys):
    """`rotary_pattern`, of SmolLM3: each fourth layer knows no positions, which no key says."""

    def to_ours(self, theirs):
        return {"rotary_pattern": [True, True, True, False]}

    def to_theirs(self, arguments):
        found = layers(arguments, "rotary_pattern")
        if found != [(i + 1) % 4 != 0 for i in range(len(found))]:
            raise ValueError("each fourth layer, and no other, must know no positions")
        return {}


class Interleaved:
    """Queries and keys whose pairs of features lie side by side: ours are half a head apart."""

    def to_ours(self, arrays, arguments):
        query, key, value = arrays
        halves = (
            regrouped(array, arguments[heads], -1, 2)
            for array, heads in ((query, "num_heads"), (key, "num_kv_heads"))
        )
        return super().to_ours([*halves, value], arguments)

    def to_theirs(self, array, arguments):
        query, key, value = super().to_theirs(array, arguments)
        query = regrouped(query, arguments["num_heads"], 2, -1)
        return [query, regrouped(key, arguments["num_kv_heads"], 2, -1), value]


def regrouped(array, num_heads, outer, inner):
    """Rows of each head in `outer` groups of `inner`, to `inner` groups of `outer`."""
    parts = array.reshape(num_heads, outer, inner, *array.shape[1:])
    return parts.swapaxes(1, 2).reshape(array.shape)


class InterleavedKernels(Interleaved, JoinedKernels):
    """Of kernels `(out, in)`."""


class InterleavedBiases(Interleaved, Joined):
    """Of biases."""


NORMS = {
    "block_{i}/attention_norm": "blk.{i}.attn_norm",
    "block_{i}/feed_forward_norm": "blk.{i}.ffn_norm",
    "norm": "output_norm",
}
OUTPUTS = {
    "token_embedding/embeddings": "token_embd.weight",
    "block_{i}/attention/output/kernel": "blk.{i}.attn_output.weight",
    "block_{i}/attention/output/bias": "blk.{i}.attn_output.bias",
    "block_{i}/feed_forward/outer/kernel": "blk.{i}.ffn_down.weight",
    "block_{i}/feed_forward/outer/bias": "blk.{i}.ffn_down.bias",
}
GATED = {
    **OUTPUTS,
    **{f"{ours}/scale": f"{theirs}.weight" for ours, theirs in NORMS.items()},
    "block_{i}/attention/query_norm/scale": "blk.{i}.attn_q_norm.weight",
    "block_{i}/attention/key_norm/scale": "blk.{i}.attn_k_norm.weight",
    "block_{i}/feed_forward/inner/kernel": ("blk.{i}.ffn_gate.weight", "blk.{i}.ffn_up.weight"),
    "block_{i}/feed_forward/inner/bias": ("blk.{i}.ffn_gate.bias", "blk.{i}.ffn_up.bias"),
}
QKV = ([f"{name}.weight" for name in NAMES], HEADS), ([f"{name}.bias" for name in NAMES], HEADS)
APART = {
    "block_{i}/attention/qkv/kernel": JoinedKernels(*QKV[0]),
    "block_{i}/attention/qkv/bias": Joined(*QKV[1]),
}
INTERLEAVED = {
    "block_{i}/attention/qkv/kernel": InterleavedKernels(*QKV[0]),
    "block_{i}/attention/qkv/bias": InterleavedBiases(*QKV[1]),
}
SIZES = {
    "vocab_size": Told("vocab_size"),
    "num_layers": "block_count",
    "num_heads": "attention.head_count",
    "hidden_dim": "embedding_length",
    "mlp_dim": "feed_forward_length",
    "max_length": "context_length",
    "tied": Told("tied"),
    "dropout": Unsaid(),
    "attention_dropout": Unsaid(),
}


def family(name, ours, arguments, constants, body):
    return Family(
        name=name,
        family=ours,
        prefix="",
        arguments={**SIZES, **arguments},
        constants=constants,
        architectures={name: "causal_lm"},
        bare="",
        body=body,
        heads={"head/kernel": "output.weight"},
        tied={"output.weight": "token_embd.weight"},
        unused=("rope_freqs.weight",),  # which `Rotary` has read
        optional=("head/kernel", *(ours for ours in body if ours.endswith("bias")), *QK_NORMS),
    )


QK_NORMS = ("block_{i}/attention/query_norm/scale", "block_{i}/attention/key_norm/scale")


def gated(name, biases, body, pattern=NoPattern, **constants):
    """Llama and what differs from it in a detail."""
    arguments = {
        "num_kv_heads": Key("attention.head_count_kv", None),
        ("head_dim",): HeadDim(),
        "norm_epsilon": "attention.layer_norm_rms_epsilon",
        "attention_bias": Told("attention_bias", values={bias: bias for bias in biases}),
        "mlp_bias": Told("mlp_bias"),
        ("rotary_base", "rotary_scaling"): Rotary(),
        ("sliding_window", "sliding_pattern"): NoWindow(),
        ("rotary_pattern",): pattern(),
    }
    return family(name, "llama", arguments, {"activation": "silu", **constants}, {**GATED, **body})


LLAMA = gated("llama", ("none", "all"), INTERLEAVED, qk_norm=False)
QWEN2 = gated("qwen2", ("qkv",), APART, qk_norm=False)
QWEN3 = gated("qwen3", ("none",), APART, qk_norm=True)
SMOLLM3 = gated("smollm3", ("none",), INTERLEAVED, EveryFourth, qk_norm=False)
GPT2 = family(
    "gpt2",
    "gpt",
    {"norm_epsilon": "attention.layer_norm_epsilon"},
    {"activation": "gelu_tanh", "scale_by_layer": False},
    {
        **OUTPUTS,
        **{f"{ours}/gamma": f"{theirs}.weight" for ours, theirs in NORMS.items()},
        **{f"{ours}/beta": f"{theirs}.bias" for ours, theirs in NORMS.items()},
        "position_embedding/embeddings": "position_embd.weight",
        "block_{i}/attention/qkv/kernel": "blk.{i}.attn_qkv.weight",
        "block_{i}/attention/qkv/bias": "blk.{i}.attn_qkv.bias",
        "block_{i}/feed_forward/inner/kernel": "blk.{i}.ffn_up.weight",
        "block_{i}/feed_forward/inner/bias": "blk.{i}.ffn_up.bias",
    },
)
ARCHITECTURES = {family.name: family for family in (LLAMA, QWEN2, QWEN3, SMOLLM3, GPT2)}
