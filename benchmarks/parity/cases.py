"""The rows of the matrix: classes of transformers, and configurations of odd shapes."""

from benchmarks.parity.case import LABELS, VOCAB_SIZE, Case, variants
from benchmarks.parity.decoders import DECODERS

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
BART = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "max_position_embeddings": 29,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
MARIAN = {**BART, "eos_token_id": 0, "pad_token_id": 130, "decoder_start_token_id": 130}
T5 = {
    "vocab_size": VOCAB_SIZE,
    "d_model": 24,
    "d_kv": 7,
    "d_ff": 40,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 3,
    "relative_attention_num_buckets": 10,
    "relative_attention_max_distance": 9,
    "decoder_start_token_id": 0,
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
    Case("gpt2", "GPT2ForSequenceClassification", {**GPT2, **LABELS, "pad_token_id": 0}),
    *variants(
        "t5",
        "T5ForConditionalGeneration",
        T5,
        {
            "": {},
            "gated GELU, 1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        },
    ),
    Case("t5", "T5Model", T5, is_usual=False),
    Case("bart", "BartForConditionalGeneration", {**BART, "forced_bos_token_id": 0}, padding_id=1),
    Case("bart", "BartModel", BART, padding_id=1, is_usual=False),
    Case("bart", "BartForSequenceClassification", {**BART, **LABELS}, padding_id=1),
    Case(
        "mbart",
        "MBartForConditionalGeneration",
        {**BART, "decoder_start_token_id": 9, "scale_embedding": True},
        padding_id=1,
    ),
    Case("marian", "MarianMTModel", {**MARIAN, "activation_function": "swish"}, padding_id=130),
    Case("pegasus", "PegasusForConditionalGeneration", {**BART, "pad_token_id": 0}),
    *variants(
        "t5",
        "T5ForConditionalGeneration",
        T5,
        {
            f"{gated}{name}": {"feed_forward_proj": f"{gated}{name}"}
            for gated in ("", "gated-")
            for name in ACTIVATIONS
        },
        is_usual=False,
    ),
    *variants(
        "bart",
        "BartForConditionalGeneration",
        BART,
        activations("activation_function"),
        is_usual=False,
        padding_id=1,
    ),
    *variants("bert", "BertForMaskedLM", BERT, activations("hidden_act"), is_usual=False),
    *variants("roberta", "RobertaForMaskedLM", ROBERTA, {"relu": {"hidden_act": "relu"}}),
    *variants("distilbert", "DistilBertForMaskedLM", DISTILBERT, {"relu": {"activation": "relu"}}),
    *variants("gpt2", "GPT2LMHeadModel", GPT2, activations("activation_function"), is_usual=False),
    *DECODERS,
)
NAMED_CASES = {case.name: case for case in CASES}
