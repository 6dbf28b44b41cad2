"""DistilBERT: half of BERT's layers, no segments."""

import keras

from zoo.models.bert import BERT


@keras.saving.register_keras_serializable("zoo")
class DistilBERT(BERT):
    """DistilBERT, from token ids to hidden states.

    Sanh et al., 2019, https://arxiv.org/abs/1910.01108: a BERT of 6 layers instead of 12, without
    segments, taught by the larger one.

    Arguments, call arguments and result are those of `BERT`.
    """

    family = "distilbert"
    default_pooling = "first_relu"

    def __init__(
        self,
        vocab_size,
        num_layers=6,
        num_heads=12,
        hidden_dim=768,
        mlp_dim=None,
        max_length=512,
        activation="gelu",
        dropout=0.1,
        attention_dropout=0.0,
        norm_epsilon=1e-12,
        dtype=None,
        **kwargs,
    ):
        super().__init__(**self._arguments, num_segments=0)
