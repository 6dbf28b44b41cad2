"""A table for each family of KerasHub: names of its weights, its config and its classes.

Weights have the names of their HDF5 files, with a number where a block is: in a file the first
block has none. Those of `task.weights.h5`, which are heads, come after "task/".
"""

import dataclasses

from zoo.checkpoints.keras_hub.rows import ByHeads, FromHeads, attention, block, layer, norm
from zoo.checkpoints.tables import Family, Joined, Key, Keys, Unsaid


class WholeHeads(Keys):
    """Heads that share `hidden_dim` among them: their config has no `head_dim`."""

    def to_ours(self, theirs):
        return {"head_dim": None}

    def to_theirs(self, arguments):
        names = ("head_dim", "num_heads", "hidden_dim")
        head_dim, num_heads, hidden_dim = (arguments[name] for name in names)
        if head_dim * num_heads != hidden_dim:
            raise ValueError(f"{num_heads} heads of {head_dim} must be {hidden_dim} wide together")
        return {}


@dataclasses.dataclass(frozen=True)
class HubFamily(Family):
    """A `Family` of KerasHub: `name` and `bare` are the class of the backbone.

    Attributes:
        tokenizer: their class, or None.
        preprocessors: `{task: their class}`.
        own_head: the tensor of a head that is not tied, or None.
    """

    tokenizer: str | None = None
    preprocessors: dict = dataclasses.field(default_factory=dict)
    own_head: str | None = None


SIZES = {
    "vocab_size": "vocabulary_size",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "hidden_dim": "hidden_dim",
    "mlp_dim": "intermediate_dim",
    "max_length": "max_sequence_length",
    "dropout": Key("dropout", 0.1),
    "attention_dropout": Unsaid(),
}
TABLES = {
    "token_embedding/embeddings": Joined("layers/reversible_embedding/vars/0"),
    "position_embedding/embeddings": Joined("layers/position_embedding/vars/0"),
}
BOTH_TABLES = {
    f"{kind}_embedding/embeddings": Joined(
        f"layers/token_and_position_embedding/{kind}_embedding/vars/0"
    )
    for kind in ("token", "position")
}
HEAD_DROPOUT = {"text_classification": ("head_dropout",)}
CLASSIFIER = {  # with a pooler of its own
    **layer("pooler/dense", "task/layers/dense"),
    **layer("classifier", "task/layers/dense_1"),
}
MASKED = "task/layers/masked_lm_head"
OTHER_HEAD = {"masked_lm": ((), "its activation or epsilon is not that of the encoder")}


GPT2 = HubFamily(
    name="GPT2Backbone",
    family="gpt",
    prefix="",
    arguments=SIZES,
    constants={
        "activation": "gelu_tanh",
        "scale_by_layer": False,
        "tied": True,
        "norm_epsilon": 1e-5,
    },
    architectures={"GPT2CausalLM": "causal_lm", "GPT2Backbone": "causal_lm"},
    bare="GPT2Backbone",
    body={
        **TABLES,
        **block("block_{i}", "transformer_decoder"),
        **norm("norm", "layers/layer_normalization"),
    },
    tokenizer="GPT2Tokenizer",
    preprocessors={"causal_lm": "GPT2CausalLMPreprocessor"},
)

BERT = HubFamily(
    name="BertBackbone",
    family="bert",
    prefix="",
    arguments={**SIZES, "num_segments": Key("num_segments", 2)},
    constants={"activation": "gelu_tanh", "norm_epsilon": 1e-12},
    task_constants={"text_classification": {"pooling": "first"}},
    head_dropout=HEAD_DROPOUT,
    architectures={
        "BertBackbone": "embedding",
        "BertTextClassifier": "text_classification",
        "BertMaskedLM": "masked_lm",
    },
    bare="BertBackbone",
    body={
        **TABLES,
        "segment_embedding/embeddings": Joined("layers/embedding/vars/0"),
        **norm("embedding_norm", "layers/layer_normalization"),
        **block("block_{i}", "transformer_encoder"),
        **layer("pooler/dense", "layers/dense"),
    },
    heads_of={"text_classification": layer("classifier", "task/layers/dense")},
    refused_heads=OTHER_HEAD,
    tokenizer="BertTokenizer",
    preprocessors={"text_classification": "BertTextClassifierPreprocessor"},
)

ROBERTA = HubFamily(
    name="RobertaBackbone",
    family="roberta",
    prefix="",
    arguments=SIZES,
    constants={"activation": "gelu", "norm_epsilon": 1e-5},
    task_constants={"text_classification": {"pooling": "first"}},
    head_dropout=HEAD_DROPOUT,
    architectures={
        "RobertaBackbone": "embedding",
        "RobertaTextClassifier": "text_classification",
        "RobertaMaskedLM": "masked_lm",
    },
    bare="RobertaBackbone",
    body={
        **BOTH_TABLES,
        **norm("embedding_norm", "layers/layer_normalization"),
        **block("block_{i}", "transformer_encoder"),
    },
    heads_of={
        "text_classification": CLASSIFIER,
        "masked_lm": {
            **layer("masked_lm_transform/dense", f"{MASKED}/_intermediate_dense"),
            **norm("masked_lm_transform/norm", f"{MASKED}/_intermediate_layer_norm"),
            "masked_lm_bias/bias": Joined(f"{MASKED}/vars/0"),
        },
    },
    tokenizer="RobertaTokenizer",
    preprocessors={
        "text_classification": "RobertaTextClassifierPreprocessor",
        "masked_lm": "RobertaMaskedLMPreprocessor",
    },
)

DISTILBERT = HubFamily(
    name="DistilBertBackbone",
    family="distilbert",
    prefix="",
    arguments=SIZES,
    constants={"activation": "gelu", "norm_epsilon": 1e-12},
    task_constants={"text_classification": {"pooling": "first_relu"}},
    head_dropout=HEAD_DROPOUT,
    architectures={
        "DistilBertBackbone": "embedding",
        "DistilBertTextClassifier": "text_classification",
        "DistilBertMaskedLM": "masked_lm",
    },
    bare="DistilBertBackbone",
    body=ROBERTA.body,
    heads_of={"text_classification": CLASSIFIER},
    refused_heads=OTHER_HEAD,
    tokenizer="DistilBertTokenizer",
    preprocessors={"text_classification": "DistilBertTextClassifierPreprocessor"},
)

BART = HubFamily(
    name="BartBackbone",
    family="bart",
    prefix="",
    arguments={**SIZES, "num_decoder_layers": Key("num_layers")},
    constants={
        "activation": "gelu",
        "pre_norm": False,
        "scaled": False,
        "norm_epsilon": 1e-5,
    },
    task_constants={"seq2seq": {"source_start": True}},
    architectures={"BartSeq2SeqLM": "seq2seq", "BartBackbone": "seq2seq"},
    bare="BartBackbone",
    body={
        "token_embedding/embeddings": TABLES["token_embedding/embeddings"],
        "encoder_positions/embeddings": Joined("layers/position_embedding/vars/0"),
        "decoder_positions/embeddings": Joined("layers/position_embedding_1/vars/0"),
        **norm("encoder_embedding_norm", "layers/layer_normalization"),
        **norm("decoder_embedding_norm", "layers/layer_normalization_1"),
        **block("encoder_block_{i}", "transformer_encoder"),
        **block("decoder_block_{i}", "transformer_decoder"),
        **attention(
            "decoder_block_{i}/cross_attention",
            "layers/transformer_decoder_{i}/_cross_attention_layer",
            ("query", "key_value"),
        ),
        **norm(
            "decoder_block_{i}/cross_attention_norm",
            "layers/transformer_decoder_{i}/_cross_attention_layer_norm",
        ),
    },
    tokenizer="BartTokenizer",
    preprocessors={"seq2seq": "BartSeq2SeqLMPreprocessor"},
)

LLAMA_BLOCK = "layers/llama_transformer_decoder_{i}/"
LLAMA_HEAD = "layers/reversible_embedding/vars/1"
LLAMA_HEADS = ("num_heads", "num_kv_heads", "num_kv_heads")
LLAMA = HubFamily(
    name="LlamaBackbone",
    family="llama",
    prefix="",
    arguments={
        "vocab_size": "vocabulary_size",
        "num_layers": "num_layers",
        "num_heads": "num_query_heads",
        "num_kv_heads": "num_key_value_heads",
        "hidden_dim": "hidden_dim",
        "mlp_dim": "intermediate_dim",
        "max_length": Unsaid(),
        ("head_dim",): WholeHeads(),
        "rotary_base": Key("rope_max_wavelength", 10_000.0),
        "tied": Key("tie_word_embeddings", False),
        "dropout": Key("dropout", 0.0),
        "norm_epsilon": Key("layer_norm_epsilon", 1e-6),
        "attention_dropout": Unsaid(),
    },
    fixed={
        "rope_position_scaling_factor": 1.0,
        **dict.fromkeys(
            (
                "rope_frequency_adjustment_factor",
                "rope_low_freq_factor",
                "rope_high_freq_factor",
                "rope_pretraining_sequence_length",
            )
        ),
    },
    constants={
        "rotary_scaling": None,
        "rotary_pattern": (True,),
        "sliding_window": None,
        "sliding_pattern": (True,),
        "attention_bias": "none",
        "mlp_bias": False,
        "qk_norm": False,
        "activation": "silu",
    },
    architectures={"LlamaCausalLM": "causal_lm", "LlamaBackbone": "causal_lm"},
    bare="LlamaBackbone",
    body={
        "token_embedding/embeddings": Joined("layers/reversible_embedding/vars/0"),
        "head/kernel": Joined(LLAMA_HEAD),
        "block_{i}/attention/qkv/kernel": ByHeads(
            [
                f"{LLAMA_BLOCK}_self_attention_layer/_{part}_dense/vars/0"
                for part in ("query", "key", "value")
            ],
            LLAMA_HEADS,
        ),
        "block_{i}/attention/output/kernel": FromHeads(
            f"{LLAMA_BLOCK}_self_attention_layer/_output_dense/vars/0"
        ),
        "block_{i}/attention_norm/scale": Joined(f"{LLAMA_BLOCK}_self_attention_layernorm/vars/0"),
        "block_{i}/feed_forward/inner/kernel": Joined(
            (
                f"{LLAMA_BLOCK}_feedforward_gate_dense/vars/0",
                f"{LLAMA_BLOCK}_feedforward_intermediate_dense/vars/0",
            )
        ),
        "block_{i}/feed_forward/outer/kernel": Joined(
            f"{LLAMA_BLOCK}_feedforward_output_dense/vars/0"
        ),
        "block_{i}/feed_forward_norm/scale": Joined(f"{LLAMA_BLOCK}_feedforward_layernorm/vars/0"),
        "norm/scale": Joined("layers/llama_layer_norm/vars/0"),
    },
    optional=("head/kernel",),
    own_head=LLAMA_HEAD,
    tokenizer="LlamaTokenizer",
)

FAMILIES = {family.name: family for family in (GPT2, BERT, ROBERTA, DISTILBERT, BART, LLAMA)}
