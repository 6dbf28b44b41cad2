"""What language-model tasks share: a loss per real token, perplexity and accuracy."""

import keras
from keras import ops

from zoo import optimizers
from zoo.layers import TokenCrossEntropy, head_cross_entropy, is_likeliest
from zoo.tasks.base import Task
from zoo.tasks.smoothing import excess_of_logits, excess_through_head


@keras.saving.register_keras_serializable("zoo")
class Perplexity(keras.metrics.Mean):
    """`exp` of the mean loss in nats."""

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def result(self):
        return ops.exp(super().result())


class LanguageModel(Task):
    """A task that predicts tokens by a head that is tied to the embeddings.

    `loss` is the mean over real tokens, in nats; `accuracy` the share of tokens that no other had a
    larger logit than. With the usual loss, and no metrics that would need logits, steps of `fit`
    and `evaluate` never have the logits of all tokens in memory: see `head_cross_entropy`. An
    optimizer that accumulates gradients takes the mean over the real tokens of all its batches.

    Attributes:
        label_smoothing: float, the share of a label's probability that all tokens share equally,
            in training with the usual loss; perplexity stays that of the labels.
    """

    label_smoothing = 0.0

    def __init__(self, backbone, tokenizer, **kwargs):
        super().__init__(backbone, tokenizer, **kwargs)
        self.perplexity = Perplexity(dtype="float32")
        self.accuracy = keras.metrics.Mean(name="accuracy", dtype="float32")

    def usual_optimizer(self):
        return optimizers.for_pretraining()

    def usual_loss(self):
        return TokenCrossEntropy()

    def compile(self, *args, **kwargs):
        """As `Task.compile`."""
        super().compile(*args, **kwargs)
        self._needs_logits = (
            self.has_compiled_metrics
            or not is_usual(self.loss)
            or type(self).compute_loss is not LanguageModel.compute_loss
            or type(self).compute_metrics is not LanguageModel.compute_metrics
        )
        if not self._needs_logits:
            self.build_loss(keras.KerasTensor((None, None), "int32"))

    def outputs_and_loss(self, x, y, sample_weight, training):
        if self._needs_logits or not self.backbone.has_plain_head:
            return super().outputs_and_loss(x, y, sample_weight, training)
        labels, weight = labels_and_weights(y, sample_weight)
        hidden, table = self.hidden_states(x, training), self.backbone.head_table()
        nats, num_hits = head_cross_entropy(
            ops.reshape(hidden, (-1, hidden.shape[-1])),
            table,
            ops.reshape(labels, (-1,)),
            ops.reshape(weight, (-1,)),
            training,
        )
        loss = ops.divide_no_nan(nats, ops.sum(weight))
        for regularisation in self.losses:
            loss = loss + ops.sum(ops.cast(regularisation, "float32"))
        self._measure(loss, num_hits, weight)
        if training and self.label_smoothing:
            loss = loss + self._smoothing(excess_through_head(labels, hidden, table), weight)
        return hidden, loss

    def hidden_states(self, x, training):
        """The backbone's outputs for a batch of `fit` or `evaluate`."""
        return self.backbone(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss, from logits."""
        labels, weight = labels_and_weights(y, sample_weight)
        loss = super().compute_loss(x, y, y_pred, weight, training)
        self._measure(loss, ops.sum(weight * is_likeliest(labels, y_pred)), weight)
        if training and self.label_smoothing and is_usual(self.loss):
            loss = loss + self._smoothing(excess_of_logits(labels, y_pred), weight)
        return loss

    def num_averaged(self, x, y, sample_weight):
        return ops.sum(labels_and_weights(y, sample_weight)[1])

    def _measure(self, loss, num_hits, weight):
        num_tokens = ops.sum(weight)
        self.perplexity.update_state(loss, sample_weight=num_tokens)
        accuracy = ops.divide_no_nan(num_hits, num_tokens)
        self.accuracy.update_state(accuracy, sample_weight=num_tokens)

    def _smoothing(self, excess, weight):
        mean = ops.divide_no_nan(ops.sum(weight * excess), ops.sum(weight))
        return mean * self.label_smoothing


def labels_and_weights(y, sample_weight):
    """int32 and float32 `(batch, length)`; the labels may have come as one-hot rows."""
    labels = ops.cast(y if len(y.shape) == 2 else ops.argmax(y, axis=-1), "int32")
    return labels, token_weights(labels, sample_weight)


def token_weights(labels, sample_weight):
    """float32 `(batch, length)`, from weights of rows or of tokens, or None."""
    if sample_weight is None:
        return ops.ones(ops.shape(labels), "float32")
    weight = ops.cast(sample_weight, "float32")
    weight = weight[:, None] if len(weight.shape) == 1 else weight
    return ops.broadcast_to(weight, ops.shape(labels))


def is_usual(loss):
    """Whether a loss is the one that `head_cross_entropy` computes."""
    return type(loss) is TokenCrossEntropy and loss.reduction == "mean_with_sample_weight"
