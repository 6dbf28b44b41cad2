"""KerasHub's BART, without a preprocessor: arrays as its preprocessor would make them."""

import keras
import keras_hub
import numpy as np

from benchmarks import inputs


class Model:
    """A `keras_hub.models.BartSeq2SeqLM`."""

    def __init__(self, model):
        self.model = model
        self.num_parameters = model.count_params()
        self.width = None
        self._choose_sampler(1)

    def fit(self, sources, targets, labels, rows):
        everywhere = np.ones(targets.shape, "bool")
        x = _inputs(sources, np.ones(sources.shape, "bool"), targets, everywhere)
        history = self.model.fit(x, labels, sample_weight=everywhere, batch_size=rows, verbose=0)
        return history.history["loss"][0]

    def translate(self, sources, new_tokens, width=1):
        self._choose_sampler(width)
        targets = np.zeros((len(sources), 1 + new_tokens), "int32")
        targets[:, 0] = inputs.START
        is_given = np.zeros(targets.shape, "bool")
        is_given[:, 0] = True
        x = _inputs(*inputs.pad(sources), targets, is_given)
        rows = self.model.generate(x, stop_token_ids=None)["decoder_token_ids"]
        return rows[:, 1:].tolist()

    def logits(self, sources, targets):
        x = _inputs(*inputs.pad(sources), targets, np.ones(targets.shape, "bool"))
        return keras.ops.convert_to_numpy(self.model(x))

    def _choose_sampler(self, width):
        """A sampler is an argument of `compile`, after which generation compiles anew."""
        if width == self.width:
            return
        self.width = width
        self.model.compile(
            optimizer=keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0),
            sampler="greedy" if width == 1 else keras_hub.samplers.BeamSampler(width),
        )


def build(sizes):
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=sizes.vocab_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        intermediate_dim=4 * sizes.hidden_dim,
        max_sequence_length=sizes.context,
        dropout=sizes.dropout,
    )
    return Model(keras_hub.models.BartSeq2SeqLM(backbone, preprocessor=None))


def _inputs(sources, source_mask, targets, target_mask):
    return {
        "encoder_token_ids": sources,
        "encoder_padding_mask": source_mask,
        "decoder_token_ids": targets,
        "decoder_padding_mask": target_mask,
    }
