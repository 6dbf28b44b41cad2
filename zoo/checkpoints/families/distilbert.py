"""DistilBERT as transformers writes it."""

from zoo.checkpoints.families.bert import CLASSIFIER, SPAN, TOKEN_CLASSIFIER
from zoo.checkpoints.tables import ACTIVATIONS, ENCODER_ROLES, Family, Key

DISTILBERT = Family(
    name="distilbert",
    family="distilbert",
    prefix="distilbert.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "hidden_dim": "dim",
        "mlp_dim": "hidden_dim",
        "max_length": "max_position_embeddings",
        "activation": Key("activation", "gelu", values=ACTIVATIONS),
        "dropout": "dropout",
        "attention_dropout": Key("attention_dropout", is_read=False),
    },
    constants={"norm_epsilon": 1e-12},
    fixed={"sinusoidal_pos_embds": False, "tie_word_embeddings": True},
    task_constants={"text_classification": {"pooling": "first_relu"}},
    head_dropout={
        "text_classification": ("seq_classif_dropout",),
        "token_classification": ("dropout",),
    },
    architectures={
        "DistilBertModel": "embedding",
        "DistilBertForMaskedLM": "masked_lm",
        "DistilBertForSequenceClassification": "text_classification",
        "DistilBertForTokenClassification": "token_classification",
        "DistilBertForQuestionAnswering": "question_answering",
    },
    bare="DistilBertModel",
    roles=ENCODER_ROLES,
    body={
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
    heads_of={
        "text_classification": {
            "pooler/dense/kernel": "pre_classifier.weight",
            "pooler/dense/bias": "pre_classifier.bias",
            **CLASSIFIER,
        },
        "token_classification": TOKEN_CLASSIFIER,
    },
    tied={"vocab_projector.weight": "embeddings.word_embeddings.weight"},
    unused=("embeddings.position_ids",),  # counted at each call
)
