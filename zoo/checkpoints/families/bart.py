"""BART, mBART, Marian and Pegasus as transformers writes them."""

import dataclasses

import numpy as np

from zoo.checkpoints.tables import ACTIVATIONS, Family, Joined, Key
from zoo.checks import shown

ROWS_BEFORE = 2  # of the tables of positions: nothing reads them


class Positions(Joined):
    """Positions from the first token's on; the rows before are written as zeros."""

    def their_shapes(self, shape, arguments):
        length, hidden_dim = shape
        return [(length + ROWS_BEFORE, hidden_dim)]

    def to_ours(self, arrays, arguments):
        return arrays[0][ROWS_BEFORE:]

    def to_theirs(self, array, arguments):
        return [np.concatenate([np.zeros_like(array, shape=(ROWS_BEFORE, array.shape[1])), array])]


class Row(Joined):
    """A vector that is stored as a matrix of one row."""

    def their_shapes(self, shape, arguments):
        return [(1, *shape)]

    def to_ours(self, arrays, arguments):
        return arrays[0][0]

    def to_theirs(self, array, arguments):
        return [array[None]]


class BothSides(Key):
    """A key of the encoder, which the decoder's must equal."""

    def to_ours(self, theirs):
        value = super().to_ours(theirs)
        for other in self.copies:
            if theirs.get(other, value) != value:
                raise ValueError(
                    f"{other} must be {self.name}, {shown(value)}; got {shown(theirs[other])}"
                )
        return value


def sines(arguments):
    """What `SinusoidalPositions(interleaved=False)` adds, `(max_length, hidden_dim)`."""
    length, dim = arguments["max_length"], arguments["hidden_dim"]
    angle = np.outer(np.arange(length), 10_000.0 ** (-np.arange(0, dim, 2) / dim))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype("float32")


NAMES = {"kernel": "weight", "bias": "bias"}
NORM = {"gamma": "weight", "beta": "bias"}


def linear(ours, *theirs):
    """Rows of a kernel and a bias that several of their layers make up."""
    return {
        f"{ours}/{kind}": tuple(f"{name}.{their}" for name in theirs)
        for kind, their in NAMES.items()
    }


def norm(ours, theirs):
    return {f"{ours}/{kind}": f"{theirs}.{their}" for kind, their in NORM.items()}


def block(side):
    ours, theirs = f"{side}_block_{{i}}", f"{side}.layers.{{i}}"
    own = [f"{theirs}.self_attn.{x}_proj" for x in "qkv"]
    return {
        **linear(f"{ours}/attention/qkv", *own),
        **linear(f"{ours}/attention/output", f"{theirs}.self_attn.out_proj"),
        **norm(f"{ours}/attention_norm", f"{theirs}.self_attn_layer_norm"),
        **linear(f"{ours}/feed_forward/inner", f"{theirs}.fc1"),
        **linear(f"{ours}/feed_forward/outer", f"{theirs}.fc2"),
        **norm(f"{ours}/feed_forward_norm", f"{theirs}.final_layer_norm"),
    }


CROSS, IN_CROSS = "decoder_block_{i}/cross_attention", "decoder.layers.{i}.encoder_attn"
BODY = {
    "token_embedding/embeddings": "shared.weight",
    **block("encoder"),
    **block("decoder"),
    **linear(f"{CROSS}/query", f"{IN_CROSS}.q_proj"),
    **linear(f"{CROSS}/key_value", f"{IN_CROSS}.k_proj", f"{IN_CROSS}.v_proj"),
    **linear(f"{CROSS}/output", f"{IN_CROSS}.out_proj"),
    **norm(f"{CROSS}_norm", f"{IN_CROSS}_layer_norm"),
    # Of pre-norm models alone.
    **norm("encoder_norm", "encoder.layer_norm"),
    **norm("decoder_norm", "decoder.layer_norm"),
}
LEARNED = {
    f"{side}_positions/embeddings": Positions(f"{side}.embed_positions.weight")
    for side in ("encoder", "decoder")
}
EMBEDDING_NORMS = {
    **norm("encoder_embedding_norm", "encoder.layernorm_embedding"),
    **norm("decoder_embedding_norm", "decoder.layernorm_embedding"),
}
BIAS = "final_logits_bias"
# Whether there are norms, and where, older configs say, and others who read them ask for it.
FIXED = {"is_decoder": False, "tie_word_embeddings": True}
FINAL_NORMS = ("norm/gamma", "norm/beta")

BART = Family(
    name="bart",
    family="bart",
    prefix="model.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": Key("encoder_layers", copies=("num_hidden_layers",)),
        "num_decoder_layers": "decoder_layers",
        "num_heads": BothSides("encoder_attention_heads", copies=("decoder_attention_heads",)),
        "hidden_dim": "d_model",
        "mlp_dim": BothSides("encoder_ffn_dim", copies=("decoder_ffn_dim",)),
        "max_length": "max_position_embeddings",
        "activation": Key("activation_function", "gelu", values=ACTIVATIONS),
        "scaled": Key("scale_embedding", False),
        "dropout": Key("dropout", 0.1),
        "attention_dropout": Key("attention_dropout", is_read=False),
    },
    constants={"pre_norm": False, "norm_epsilon": 1e-5},
    given={BIAS: lambda arguments: np.zeros((1, arguments["vocab_size"]), "float32")},
    optional=(*(f"{side}_{part}" for side in ("encoder", "decoder") for part in FINAL_NORMS),),
    fixed={**FIXED, "normalize_before": False, "normalize_embedding": True},
    architectures={
        "BartForConditionalGeneration": "seq2seq",
        "BartModel": "seq2seq",
        "BartForSequenceClassification": "text_classification",
    },
    bare="BartModel",
    roles={
        "start": "bos_token",
        "stop": "eos_token",
        "padding": "pad_token",
        "unknown": "unk_token",
        "mask": "mask_token",
        "decoder_start": "decoder_start_token",
        "target_start": "forced_bos_token",
        "never": "bad_words",
    },
    task_constants={
        "seq2seq": {"source_start": True},
        "text_classification": {
            "pooling": "last_tanh",
            "head_bias": True,
            "add_special_tokens": True,
        },
    },
    head_dropout={"text_classification": ("classifier_dropout",)},
    num_labels=3,
    heads_of={
        "text_classification": {
            **linear("pooler/dense", "classification_head.dense"),
            **linear("classifier", "classification_head.out_proj"),
        }
    },
    body={**BODY, **LEARNED, **EMBEDDING_NORMS},
    tied={
        "lm_head.weight": "shared.weight",
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
    },
)

MBART = dataclasses.replace(
    BART,
    name="mbart",
    constants={**BART.constants, "pre_norm": True},
    fixed={**BART.fixed, "normalize_before": True},
    task_constants={"seq2seq": {"source_start": False}},  # its languages say what stands there
    optional=(),
    architectures={"MBartForConditionalGeneration": "seq2seq", "MBartModel": "seq2seq"},
    bare="MBartModel",
)

MARIAN = dataclasses.replace(
    BART,
    name="marian",
    family="marian",
    fixed={
        **FIXED,
        "normalize_before": False,
        "normalize_embedding": False,
        "share_encoder_decoder_embeddings": True,
    },
    architectures={"MarianMTModel": "seq2seq", "MarianModel": "seq2seq"},
    bare="MarianModel",
    body=BODY,
    heads={"head/bias": Row(BIAS)},
    given={f"model.{side}.embed_positions.weight": sines for side in ("encoder", "decoder")},
    task_constants={"seq2seq": {"source_start": False}},
)

PEGASUS = dataclasses.replace(
    MARIAN,
    name="pegasus",
    constants=MBART.constants,
    optional=(),
    fixed={**FIXED, "normalize_before": True, "normalize_embedding": False},
    architectures={"PegasusForConditionalGeneration": "seq2seq", "PegasusModel": "seq2seq"},
    bare="PegasusModel",
)
