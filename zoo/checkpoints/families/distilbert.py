"""DistilBERT as transformers writes it."""

from zoo.checkpoints.families.bert import SPAN, TOKEN_CLASSIFIER
from zoo.checkpoints.tables import Family

DISTILBERT = Family(
    name="distilbert",
    prefix="distilbert.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "hidden_dim": "dim",
        "mlp_dim": "hidden_dim",
        "max_length": "max_position_embeddings",
        "dropout": "dropout",
    },
    defaults={},
    fixed={"activation": "gelu"},
    head_dropout=("dropout",),
    architectures={
        "DistilBertModel": "embedding",
        "DistilBertForMaskedLM": "masked_lm",
        "DistilBertForSequenceClassification": "text_classification",
        "DistilBertForTokenClassification": "token_classification",
        "DistilBertForQuestionAnswering": "question_answering",
    },
    backbone={
        "token_embedding/embeddings": "embeddings.word_embeddings.weight",
        "position_embedding/embeddings": "embeddings.position_embeddings.weight",
        "embedding_norm/gamma": "embeddings.LayerNorm.weight",
        "embedding_norm/beta": "embeddings.LayerNorm.bias",
        "block_{i}/attention/qkv/kernel": (
            "transformer.layer.{i}.attention.q_lin.weight",
            "transformer.layer.{i}.attention.k_lin.weight",
            "transformer.layer.{i}.attention.v_lin.weight",
        ),
        "block_{i}/attention/qkv/bias": (
            "transformer.layer.{i}.attention.q_lin.bias",
            "transformer.layer.{i}.attention.k_lin.bias",
            "transformer.layer.{i}.attention.v_lin.bias",
        ),
        "block_{i}/attention/output/kernel": "transformer.layer.{i}.attention.out_lin.weight",
        "block_{i}/attention/output/bias": "transformer.layer.{i}.attention.out_lin.bias",
        "block_{i}/attention_norm/gamma": "transformer.layer.{i}.sa_layer_norm.weight",
        "block_{i}/attention_norm/beta": "transformer.layer.{i}.sa_layer_norm.bias",
        "block_{i}/feed_forward/inner/kernel": "transformer.layer.{i}.ffn.lin1.weight",
        "block_{i}/feed_forward/inner/bias": "transformer.layer.{i}.ffn.lin1.bias",
        "block_{i}/feed_forward/outer/kernel": "transformer.layer.{i}.ffn.lin2.weight",
        "block_{i}/feed_forward/outer/bias": "transformer.layer.{i}.ffn.lin2.bias",
        "block_{i}/feed_forward_norm/gamma": "transformer.layer.{i}.output_layer_norm.weight",
        "block_{i}/feed_forward_norm/beta": "transformer.layer.{i}.output_layer_norm.bias",
    },
    heads={
        **SPAN,
        "masked_lm_transform/dense/kernel": "vocab_transform.weight",
        "masked_lm_transform/dense/bias": "vocab_transform.bias",
        "masked_lm_transform/norm/gamma": "vocab_layer_norm.weight",
        "masked_lm_transform/norm/beta": "vocab_layer_norm.bias",
        "masked_lm_bias/bias": "vocab_projector.bias",
    },
    heads_of={"token_classification": TOKEN_CLASSIFIER},
    refused_heads={
        "text_classification": (
            (
                "pre_classifier.weight",
                "pre_classifier.bias",
                "classifier.weight",
                "classifier.bias",
            ),
            "its pooler ends in a ReLU, zoo's in a tanh",
        ),
    },
    tied={"vocab_projector.weight": "embeddings.word_embeddings.weight"},
    unused=("embeddings.position_ids",),  # counted at each call
)
