"""This library's LSTM language model, with all its settings at their defaults."""

import keras

import zoo


class Model:
    """A `zoo.CausalLM` on token ids."""

    def __init__(self, model):
        self.model = model
        self.num_parameters = model.count_params()

    def fit(self, token_ids, labels, rows):
        history = self.model.fit(token_ids, labels, batch_size=rows, verbose=0)
        return history.history["loss"][0]


def build(sizes):
    model = zoo.CausalLM(
        zoo.models.LSTM(
            vocab_size=sizes.vocab_size,
            num_layers=sizes.num_layers,
            hidden_dim=sizes.hidden_dim,
            max_length=sizes.context,
            dropout=sizes.dropout,
        )
    )
    model.compile(optimizer=keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0))
    return Model(model)
