"""RoBERTa as transformers writes it."""

from zoo.checkpoints.families.bert import BERT, BLOCKS, POOLER, SPAN, TOKEN_CLASSIFIER
from zoo.checkpoints.tables import Family

ROWS_BEFORE = 2  # of the table of positions: those up to the padding token's, whose id is 1


class Positions:
    """Positions from the first token's on, with the only row of segments added to each.

    RoBERTa has no segments, but its files have a table with one row, which every token gets.
    """

    names = ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")

    def their_shapes(self, shape):
        length, hidden_dim = shape
        return [(length + ROWS_BEFORE, hidden_dim), (1, hidden_dim)]

    def to_ours(self, arrays):
        positions, segments = arrays
        return positions[ROWS_BEFORE:] + segments


ROBERTA = Family(
    name="roberta",
    prefix="roberta.",
    arguments={ours: key for ours, key in BERT.arguments.items() if ours != "num_segments"},
    defaults=BERT.defaults,
    fixed={**BERT.fixed, "type_vocab_size": 1, "pad_token_id": ROWS_BEFORE - 1},
    head_dropout=BERT.head_dropout,
    architectures={
        "RobertaModel": "embedding",
        "RobertaForMaskedLM": "masked_lm",
        "RobertaForSequenceClassification": "text_classification",
        "RobertaForTokenClassification": "token_classification",
        "RobertaForQuestionAnswering": "question_answering",
    },
    backbone={
        "token_embedding/embeddings": "embeddings.word_embeddings.weight",
        "position_embedding/embeddings": Positions(),
        "embedding_norm/gamma": "embeddings.LayerNorm.weight",
        "embedding_norm/beta": "embeddings.LayerNorm.bias",
        **BLOCKS,
    },
    heads={
        **POOLER,
        **SPAN,
        "masked_lm_transform/dense/kernel": "lm_head.dense.weight",
        "masked_lm_transform/dense/bias": "lm_head.dense.bias",
        "masked_lm_transform/norm/gamma": "lm_head.layer_norm.weight",
        "masked_lm_transform/norm/beta": "lm_head.layer_norm.bias",
        "masked_lm_bias/bias": "lm_head.bias",
    },
    heads_of={
        # The classifier's own pooler goes before the backbone's, which older files have beside it.
        "text_classification": {
            "pooler/dense/kernel": "classifier.dense.weight",
            "pooler/dense/bias": "classifier.dense.bias",
            "classifier/kernel": "classifier.out_proj.weight",
            "classifier/bias": "classifier.out_proj.bias",
        },
        "token_classification": TOKEN_CLASSIFIER,
    },
    refused_heads={},
    tied={
        "lm_head.decoder.weight": "embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    unused=BERT.unused,
    rows_before=ROWS_BEFORE,
)
