"""This library, with all its settings at their defaults."""

import keras
import numpy as np

import zoo

TEXT_SHARE = 1


class Model:
    """A `zoo.CausalLM` on token ids."""

    def __init__(self, model):
        self.model = model

    def fit(self, token_ids, labels, rows):
        self.model.fit(token_ids, labels, batch_size=rows, verbose=0)

    def generate(self, prompts, new_tokens):
        return self.model.generate(prompts, max_new_tokens=new_tokens)

    def first_token(self, prompt, context):
        return next(self.model.stream(prompt, max_new_tokens=context - len(prompt)))

    def logits(self, token_ids):
        return keras.ops.convert_to_numpy(self.model(np.asarray(token_ids, "int32")))

    def save(self, folder):
        zoo.save(self.model, folder)


def build(sizes):
    model = zoo.CausalLM(
        zoo.models.GPT(
            vocab_size=sizes.vocab_size,
            num_layers=sizes.num_layers,
            num_heads=sizes.num_heads,
            hidden_dim=sizes.hidden_dim,
            max_length=sizes.context,
            dropout=sizes.dropout,
        )
    )
    model.compile(optimizer=keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0))
    return Model(model)


def load(folder):
    return Model(zoo.load(folder))


def text_packer(length):
    """What `fit` does with texts before it trains."""
    model = zoo.load("gpt-small", weights=False, sequence_length=length)
    return lambda texts: model.examples(list(texts), training=True)["token_ids"]
