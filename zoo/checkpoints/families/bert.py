"""BERT as transformers writes it."""

from zoo.checkpoints.tables import ACTIVATIONS, ENCODER_ROLES, Family, Key

BLOCKS = {
    "block_{i}/attention/qkv/kernel": (
        "encoder.layer.{i}.attention.self.query.weight",
        "encoder.layer.{i}.attention.self.key.weight",
        "encoder.layer.{i}.attention.self.value.weight",
    ),
    "block_{i}/attention/qkv/bias": (
        "encoder.layer.{i}.attention.self.query.bias",
        "encoder.layer.{i}.attention.self.key.bias",
        "encoder.layer.{i}.attention.self.value.bias",
    ),
    "block_{i}/attention/output/kernel": "encoder.layer.{i}.attention.output.dense.weight",
    "block_{i}/attention/output/bias": "encoder.layer.{i}.attention.output.dense.bias",
    "block_{i}/attention_norm/gamma": "encoder.layer.{i}.attention.output.LayerNorm.weight",
    "block_{i}/attention_norm/beta": "encoder.layer.{i}.attention.output.LayerNorm.bias",
    "block_{i}/feed_forward/inner/kernel": "encoder.layer.{i}.intermediate.dense.weight",
    "block_{i}/feed_forward/inner/bias": "encoder.layer.{i}.intermediate.dense.bias",
    "block_{i}/feed_forward/outer/kernel": "encoder.layer.{i}.output.dense.weight",
    "block_{i}/feed_forward/outer/bias": "encoder.layer.{i}.output.dense.bias",
    "block_{i}/feed_forward_norm/gamma": "encoder.layer.{i}.output.LayerNorm.weight",
    "block_{i}/feed_forward_norm/beta": "encoder.layer.{i}.output.LayerNorm.bias",
}

POOLER = {
    "pooler/dense/kernel": "pooler.dense.weight",
    "pooler/dense/bias": "pooler.dense.bias",
}
SPAN = {
    "span/dense/kernel": "qa_outputs.weight",
    "span/dense/bias": "qa_outputs.bias",
}
CLASSIFIER = {
    "classifier/kernel": "classifier.weight",
    "classifier/bias": "classifier.bias",
}
TOKEN_CLASSIFIER = {
    "token_classifier/kernel": "classifier.weight",
    "token_classifier/bias": "classifier.bias",
}

BERT = Family(
    name="bert",
    family="bert",
    prefix="bert.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "hidden_dim": "hidden_size",
        "mlp_dim": "intermediate_size",
        "max_length": "max_position_embeddings",
        "num_segments": "type_vocab_size",
        "activation": Key("hidden_act", "gelu", values=ACTIVATIONS),
        "dropout": "hidden_dropout_prob",
        "attention_dropout": Key("attention_probs_dropout_prob", is_read=False),
        "norm_epsilon": Key("layer_norm_eps", 1e-12),  # the first configs have none
    },
    fixed={
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    },
    task_constants={"text_classification": {"pooling": "first"}},
    head_dropout=dict.fromkeys(
        ("text_classification", "token_classification"),
        ("classifier_dropout", "hidden_dropout_prob"),
    ),
    architectures={
        "BertModel": "embedding",
        "BertForMaskedLM": "masked_lm",
        "BertForPreTraining": "pretraining",
        "BertForSequenceClassification": "text_classification",
        "BertForTokenClassification": "token_classification",
        "BertForQuestionAnswering": "question_answering",
    },
    bare="BertModel",
    roles=ENCODER_ROLES,
    body={
        "token_embedding/embeddings": "embeddings.word_embeddings.weight",
        "position_embedding/embeddings": "embeddings.position_embeddings.weight",
        "segment_embedding/embeddings": "embeddings.token_type_embeddings.weight",
        "embedding_norm/gamma": "embeddings.LayerNorm.weight",
        "embedding_norm/beta": "embeddings.LayerNorm.bias",
        **BLOCKS,
        **POOLER,
    },
    heads={
        **SPAN,
        "masked_lm_transform/dense/kernel": "cls.predictions.transform.dense.weight",
        "masked_lm_transform/dense/bias": "cls.predictions.transform.dense.bias",
        "masked_lm_transform/norm/gamma": "cls.predictions.transform.LayerNorm.weight",
        "masked_lm_transform/norm/beta": "cls.predictions.transform.LayerNorm.bias",
        "masked_lm_bias/bias": "cls.predictions.bias",
        "next_sentence/kernel": "cls.seq_relationship.weight",
        "next_sentence/bias": "cls.seq_relationship.bias",
    },
    heads_of={
        "text_classification": CLASSIFIER,
        "token_classification": TOKEN_CLASSIFIER,
    },
    tied={
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    unused=("embeddings.position_ids", "embeddings.token_type_ids"),  # counted at each call
)
