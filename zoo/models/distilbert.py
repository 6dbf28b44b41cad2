"""DistilBERT: half of BERT's layers, no segments."""

from typing import Any

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
        vocab_size: int,
        num_layers: int = 6,
        num_heads: int = 12,
        hidden_dim: int = 768,
        mlp_dim: int | None = None,
        max_length: int = 512,
        activation: str = "gelu",
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-12,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        super().__init__(**self._arguments, num_segments=0)
