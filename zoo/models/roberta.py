"""RoBERTa: BERT without segments, trained longer and without next sentences."""

from typing import Any

import keras

from zoo.models.bert import BERT


@keras.saving.register_keras_serializable("zoo")
class RoBERTa(BERT):
    """RoBERTa, from token ids to hidden states.

    Liu et al., 2019, https://arxiv.org/abs/1907.11692: BERT's blocks, a byte-level BPE, two
    separators between the texts of a pair in place of segments. The published checkpoints leave
    the first two rows of their table of positions to padding; here it starts with the first
    token's.

    Arguments, call arguments and result are those of `BERT`.
    """

    family = "roberta"
    separators_between = 2

    def __init__(
        self,
        vocab_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int | None = None,
        max_length: int = 512,
        activation: str = "gelu",
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm_epsilon: float = 1e-5,
        dtype: Any = None,
        **kwargs,
    ) -> None:
        super().__init__(**self._arguments, num_segments=0)
        self.transform_activation = "gelu"  # whatever that of the blocks is
