"""The rows of the matrix: classes of transformers, and configurations of odd shapes."""

from benchmarks.parity.case import VOCAB_SIZE, Case, variants
from benchmarks.parity.decoders import DECODERS

LABELS = {"id2label": {0: "joy", 1: "anger", 2: "fear"}}
ACTIVATIONS = (
    *("gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "quick_gelu"),
    *("relu", "relu2", "relu6", "silu", "tanh", "sigmoid", "mish", "linear"),
)


BERT = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 19,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-3,  # one that shows
}
ROBERTA = {**BERT, "max_position_embeddings": 21, "type_vocab_size": 1, "layer_norm_eps": 1e-2}
DISTILBERT = {
    "vocab_size": VOCAB_SIZE,
    "dim": 24,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 40,
    "max_position_embeddings": 19,
}
GPT2 = {
    "vocab_size": VOCAB_SIZE,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 3,
    "n_positions": 29,
    "bos_token_id": 5,
    "eos_token_id": 5,
}
HEADS = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
HEADS = (*HEADS, "ForQuestionAnswering")


def encoders(family, start, config, heads=HEADS, **fields):
    """A row for each head of an encoder."""
    for head in heads:
        labels = LABELS if "Classification" in head else {}
        yield Case(family, f"{start}{head}", {**config, **labels}, **fields)


def activations(key):
    return {f"{key} {name}": {key: name} for name in ACTIVATIONS}


CASES = (
    *encoders("bert", "Bert", BERT, (*HEADS, "ForPreTraining")),
    *variants(
        "bert",
        "BertForSequenceClassification",
        BERT,
        {
            "several labels": {**LABELS, "problem_type": "multi_label_classification"},
            "regression": {"id2label": {0: "score"}, "problem_type": "regression"},
        },
    ),
    *encoders("roberta", "Roberta", ROBERTA, padding_id=1),
    *encoders("xlm-roberta", "XLMRoberta", ROBERTA, padding_id=1, is_usual=False),
    *encoders("distilbert", "DistilBert", DISTILBERT),
    Case("gpt2", "GPT2LMHeadModel", GPT2),
    *variants(
        "gpt2",
        "GPT2LMHeadModel",
        GPT2,
        {
            "n_inner, untied": {"n_inner": 40, "tie_word_embeddings": False},
            "scores scaled by layer": {"scale_attn_by_inverse_layer_idx": True},
        },
    ),
    Case("gpt2", "GPT2Model", GPT2, is_usual=False),
    *variants("bert", "BertForMaskedLM", BERT, activations("hidden_act"), is_usual=False),
    *variants("roberta", "RobertaForMaskedLM", ROBERTA, {"relu": {"hidden_act": "relu"}}),
    *variants("distilbert", "DistilBertForMaskedLM", DISTILBERT, {"relu": {"activation": "relu"}}),
    *variants("gpt2", "GPT2LMHeadModel", GPT2, activations("activation_function"), is_usual=False),
    *DECODERS,
)
