"""RoBERTa and XLM-R as transformers writes them."""

import dataclasses

import numpy as np

from zoo.checkpoints.families.bert import BERT, BLOCKS, POOLER, SPAN, TOKEN_CLASSIFIER
from zoo.checkpoints.tables import Family, Joined, Key

ROWS_BEFORE = 2  # of the table of positions: those up to the padding token's, whose id is 1


class Positions(Joined):
    """Positions from the first token's on, with the only row of segments added to each.

    RoBERTa has no segments, but its files have a table with one row, which every token gets; ours
    writes it as zeros.
    """

    def __init__(self):
        super().__init__(
            ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")
        )

    def their_shapes(self, shape, arguments):
        length, hidden_dim = shape
        return [(length + ROWS_BEFORE, hidden_dim), (1, hidden_dim)]

    def to_ours(self, arrays, arguments):
        positions, segments = arrays
        return positions[ROWS_BEFORE:] + segments

    def to_theirs(self, array, arguments):
        rows_before, segments = (
            np.zeros((count, array.shape[1]), array.dtype) for count in (ROWS_BEFORE, 1)
        )
        return [np.concatenate([rows_before, array]), segments]


ROBERTA = Family(
    name="roberta",
    family="roberta",
    prefix="roberta.",
    arguments={
        **{ours: key for ours, key in BERT.arguments.items() if ours != "num_segments"},
        "max_length": Key("max_position_embeddings", offset=ROWS_BEFORE),
    },
    task_constants=BERT.task_constants,
    fixed={**BERT.fixed, "type_vocab_size": 1, "pad_token_id": ROWS_BEFORE - 1},
    head_dropout=BERT.head_dropout,
    architectures={
        "RobertaModel": "embedding",
        "RobertaForMaskedLM": "masked_lm",
        "RobertaForSequenceClassification": "text_classification",
        "RobertaForTokenClassification": "token_classification",
        "RobertaForQuestionAnswering": "question_answering",
    },
    bare="RobertaModel",
    roles=BERT.roles,
    body={
        "token_embedding/embeddings": "embeddings.word_embeddings.weight",
        "position_embedding/embeddings": Positions(),
        "embedding_norm/gamma": "embeddings.LayerNorm.weight",
        "embedding_norm/beta": "embeddings.LayerNorm.bias",
        **BLOCKS,
        **POOLER,
    },
    heads={
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
    tied={
        "lm_head.decoder.weight": "embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    unused=BERT.unused,
)

XLM_ROBERTA = dataclasses.replace(
    ROBERTA,
    name="xlm-roberta",
    architectures={
        name.replace("Roberta", "XLMRoberta"): task for name, task in ROBERTA.architectures.items()
    },
    bare="XLMRobertaModel",
)
