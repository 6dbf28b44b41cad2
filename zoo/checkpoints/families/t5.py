"""T5 as transformers writes it: 1.0, 1.1 and Flan."""

from zoo.checkpoints.tables import ACTIVATIONS, Family, Key

# The activation of 1.1 is called GELU there, and is its tanh approximation.
FEED_FORWARDS = {
    **ACTIVATIONS,
    **{f"gated-{theirs}": f"gated_{ours}" for theirs, ours in ACTIVATIONS.items()},
    "gated-gelu": "gated_gelu_tanh",
}


def attention(ours, theirs):
    return {
        f"{ours}/attention/qkv/kernel": tuple(
            f"{theirs}.0.SelfAttention.{x}.weight" for x in "qkv"
        ),
        f"{ours}/attention/output/kernel": f"{theirs}.0.SelfAttention.o.weight",
        f"{ours}/attention_norm/scale": f"{theirs}.0.layer_norm.weight",
    }


def feed_forward(ours, theirs):
    dense = f"{theirs}.DenseReluDense"
    return {
        f"{ours}/feed_forward/inner/kernel": f"{dense}.wi.weight",
        f"{ours}/feed_forward/outer/kernel": f"{dense}.wo.weight",
        f"{ours}/gated_feed_forward/inner/kernel": (f"{dense}.wi_0.weight", f"{dense}.wi_1.weight"),
        f"{ours}/gated_feed_forward/outer/kernel": f"{dense}.wo.weight",
        f"{ours}/feed_forward_norm/scale": f"{theirs}.layer_norm.weight",
    }


class Tied(Key):
    """Whether the table, scaled, is the head. transformers 5 says so by a key of its own."""

    def __init__(self):
        super().__init__("tie_word_embeddings", True)

    def to_ours(self, theirs):
        scaled = theirs.get("scale_decoder_outputs")
        return super().to_ours(theirs) if scaled is None else scaled


FEED_FORWARD_KERNELS = tuple(
    f"{side}_block_{{i}}/{kind}feed_forward/{part}/kernel"
    for side in ("encoder", "decoder")
    for kind in ("", "gated_")
    for part in ("inner", "outer")
)
CROSS, IN_CROSS = "decoder_block_{i}/cross_attention", "decoder.block.{i}.layer.1.EncDecAttention"
BIAS = "layer.0.SelfAttention.relative_attention_bias.weight"

T5 = Family(
    name="t5",
    family="t5",
    prefix="",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "num_layers",
        "num_decoder_layers": Key("num_decoder_layers", None),
        "num_heads": "num_heads",
        "hidden_dim": "d_model",
        "head_dim": "d_kv",
        "mlp_dim": "d_ff",
        "max_length": Key("n_positions", 512),
        "activation": Key("feed_forward_proj", "relu", values=FEED_FORWARDS),
        "num_buckets": Key("relative_attention_num_buckets", 32),
        "max_distance": Key("relative_attention_max_distance", 128),
        "dropout": Key("dropout_rate", 0.1),
        "norm_epsilon": Key("layer_norm_epsilon", 1e-6),
        "tied": Tied(),
    },
    fixed={"is_decoder": False},
    architectures={"T5ForConditionalGeneration": "seq2seq", "T5Model": "seq2seq"},
    bare="T5Model",
    roles={
        "stop": "eos_token",
        "padding": "pad_token",
        "unknown": "unk_token",
        "decoder_start": "decoder_start_token",
    },
    constants={"attention_dropout": 0.0},
    task_constants={"seq2seq": {"source_start": False}},
    optional=("head/kernel", *FEED_FORWARD_KERNELS),
    body={
        "token_embedding/embeddings": "shared.weight",
        "encoder_positions/table/embeddings": f"encoder.block.0.{BIAS}",
        **attention("encoder_block_{i}", "encoder.block.{i}.layer"),
        **feed_forward("encoder_block_{i}", "encoder.block.{i}.layer.1"),
        "encoder_norm/scale": "encoder.final_layer_norm.weight",
        "decoder_positions/table/embeddings": f"decoder.block.0.{BIAS}",
        **attention("decoder_block_{i}", "decoder.block.{i}.layer"),
        f"{CROSS}/query/kernel": f"{IN_CROSS}.q.weight",
        f"{CROSS}/key_value/kernel": (f"{IN_CROSS}.k.weight", f"{IN_CROSS}.v.weight"),
        f"{CROSS}/output/kernel": f"{IN_CROSS}.o.weight",
        f"{CROSS}_norm/scale": "decoder.block.{i}.layer.1.layer_norm.weight",
        **feed_forward("decoder_block_{i}", "decoder.block.{i}.layer.2"),
        "decoder_norm/scale": "decoder.final_layer_norm.weight",
    },
    heads={"head/kernel": "lm_head.weight"},
    tied={
        "lm_head.weight": "shared.weight",
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    },
)
