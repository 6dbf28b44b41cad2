"""What language-model tasks share: a loss per real token, perplexity and accuracy."""

import keras
from keras import ops

from zoo.layers import TokenCrossEntropy
from zoo.tasks.base import Task


@keras.saving.register_keras_serializable("zoo")
class Perplexity(keras.metrics.Mean):
    """`exp` of the mean loss in nats."""

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def result(self):
        return ops.exp(super().result())


class LanguageModel(Task):
    """A task that predicts tokens: `loss` is the mean over real tokens, in nats."""

    def __init__(self, backbone, tokenizer, **kwargs):
        super().__init__(backbone, tokenizer, **kwargs)
        # Keras weighs each batch by its rows; these two weigh it by its real tokens. The name
        # "loss" makes this mean the one that is reported.
        self.loss_per_token = keras.metrics.Mean(name="loss")
        self.perplexity = Perplexity()

    def compile(self, optimizer="auto", loss="auto", weighted_metrics="auto", **kwargs):
        """As `keras.Model.compile`; whatever is "auto" is the task's usual choice."""
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0)
        if isinstance(loss, str) and loss == "auto":
            loss = TokenCrossEntropy()
        if isinstance(weighted_metrics, str) and weighted_metrics == "auto":
            weighted_metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        super().compile(optimizer=optimizer, loss=loss, weighted_metrics=weighted_metrics, **kwargs)

    def compile_from_config(self, config):
        """Compile as it was when saved; Keras calls this when it loads a `.keras` file."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if sample_weight is None:
            num_tokens = ops.cast(ops.size(y), "float32")
        else:
            num_tokens = ops.sum(ops.cast(sample_weight, "float32"))
        self.loss_per_token.update_state(loss, sample_weight=num_tokens)
        self.perplexity.update_state(loss, sample_weight=num_tokens)
        return loss
