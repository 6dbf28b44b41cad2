"""KerasHub's GPT-2, without a preprocessor: arrays as its preprocessor would make them."""

import functools
import json

import keras
import keras_hub
import numpy as np

from benchmarks.libraries import TOKENIZER

TEXT_SHARE = 0.1  # it is slow; megabytes a second do not depend on how many there are
TEXT_BATCH = 1000


class Model:
    """A `keras_hub.models.GPT2CausalLM`."""

    def __init__(self, model):
        self.model = model

    def fit(self, token_ids, labels, rows):
        everywhere = np.ones(token_ids.shape, "bool")
        inputs = {"token_ids": token_ids, "padding_mask": everywhere}
        self.model.fit(inputs, labels, sample_weight=everywhere, batch_size=rows, verbose=0)

    def generate(self, prompts, new_tokens):
        length = max(len(prompt) for prompt in prompts) + new_tokens
        return self._generate(prompts, length)

    def first_token(self, prompt, context):
        token = self._token_after(tuple(prompt))
        # A padding that is the stop token would end the loop before it starts.
        padding = 0 if token else 1
        row = self._generate([prompt], context, padding, stop_token_ids=(token,))[0]
        return row[len(prompt)]

    @functools.cache  # noqa: B019  (the one model lives as long as the process)
    def _token_after(self, prompt):
        return int(self.generate([prompt], 1)[0][-1])

    def _generate(self, prompts, length, padding=0, stop_token_ids=None):
        token_ids = np.full((len(prompts), length), padding, "int32")
        padding_mask = np.zeros((len(prompts), length), "bool")
        for i, prompt in enumerate(prompts):
            token_ids[i, : len(prompt)] = prompt
            padding_mask[i, : len(prompt)] = True
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        return self.model.generate(inputs, stop_token_ids=stop_token_ids)["token_ids"]

    def logits(self, token_ids):
        token_ids = np.asarray(token_ids, "int32")
        inputs = {"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)}
        return keras.ops.convert_to_numpy(self.model(inputs))

    def save(self, folder):
        self.model.save_to_preset(folder)


def build(sizes):
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=sizes.vocab_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        intermediate_dim=4 * sizes.hidden_dim,
        max_sequence_length=sizes.context,
        dropout=sizes.dropout,
    )
    model = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
    optimizer = keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0)
    model.compile(optimizer=optimizer, sampler="greedy")
    return Model(model)


def load(folder):
    return Model(keras_hub.models.GPT2CausalLM.from_preset(str(folder), preprocessor=None))


def text_packer(length):
    """Its preprocessor in tf.data, as its `fit` runs it: each paragraph becomes a padded row."""
    import tensorflow as tf

    contents = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary=contents["vocab"], merges=[" ".join(pair) for pair in contents["merges"]]
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=length)

    def pack(texts):
        dataset = tf.data.Dataset.from_tensor_slices(texts).batch(TEXT_BATCH)
        dataset = dataset.map(preprocessor, num_parallel_calls=tf.data.AUTOTUNE)
        batches = [inputs["token_ids"] for inputs, _, _ in dataset.as_numpy_iterator()]
        return np.concatenate(batches)

    return pack
