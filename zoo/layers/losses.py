"""The loss of language models: nats per real token."""

from typing import Any

import keras
from keras import ops


def token_nats(labels: Any, logits: Any) -> Any:
    """`-log softmax(logits)[label]`, by gathering the label's logit.

    A one-hot of the vocabulary, as `keras.losses` uses on some backends, costs as much as the
    logits themselves.

    Args:
        labels: int `(...)`.
        logits: `(..., vocab_size)`.

    Returns:
        float32 `(...)`, in nats.
    """
    logits = ops.cast(logits, "float32")
    label_logit = ops.take_along_axis(logits, ops.cast(labels, "int32")[..., None], axis=-1)
    return ops.logsumexp(logits, axis=-1) - label_logit[..., 0]


def is_likeliest(labels: Any, logits: Any) -> Any:
    """Whether no token has a larger logit than the label: float32 `(...)`, 0 or 1."""
    label_logit = ops.take_along_axis(logits, ops.cast(labels, "int32")[..., None], axis=-1)
    return ops.cast(label_logit[..., 0] >= ops.max(logits, axis=-1), "float32")


@keras.saving.register_keras_serializable("zoo")
class TokenCrossEntropy(keras.losses.Loss):
    """Cross-entropy in nats, averaged over sample weights: a padded slot counts for nothing.

    Call arguments:
        y_true: int `(batch, length)`.
        y_pred: logits `(batch, length, vocab_size)`.
        sample_weight: `(batch, length)`, 0 for padding; None for all ones.
    """

    def __init__(
        self, reduction: str = "mean_with_sample_weight", name: str = "token_cross_entropy"
    ) -> None:
        # Keras casts even the labels to the loss's dtype, which must hold any of them.
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return token_nats(y_true, y_pred)
