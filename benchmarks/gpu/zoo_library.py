"""This library as it is measured: Keras' `fit`, and `generate`, with the defaults of both."""

import keras

import zoo
from benchmarks.libraries import import_library


class Zoo:
    """Models in mixed_bfloat16."""

    def __init__(self, quick):
        keras.config.set_dtype_policy("mixed_bfloat16")

    def gpt_trainer(self, sizes):
        return import_library("zoo", "gpt").build(sizes).fit

    def bert_trainer(self, sizes):
        backbone = zoo.models.BERT(
            vocab_size=sizes.vocab_size,
            num_layers=sizes.num_layers,
            num_heads=sizes.num_heads,
            hidden_dim=sizes.hidden_dim,
            max_length=sizes.context,
            dropout=sizes.dropout,
        )
        model = zoo.TextClassifier(backbone, labels=["0", "1"], head_dropout=sizes.dropout)
        model.compile(keras.optimizers.AdamW(5e-5, weight_decay=0.01, global_clipnorm=1.0))

        def fit(token_ids, labels, rows):
            model.fit({"token_ids": token_ids}, labels, batch_size=rows, verbose=0)

        return fit

    def writer(self, sizes):
        return import_library("zoo", "gpt").build(sizes).generate


LIBRARIES = {"zoo": Zoo}
