"""Text classification: one label for each text or pair of texts."""

import keras
import numpy as np

from zoo.arguments import LABELS, RATE, Choice
from zoo.data.labels import check_labels_list, checked_weights, class_weights, label_ids
from zoo.data.rows import is_pair, pick, with_text
from zoo.data.texts import is_text
from zoo.layers.dense import Dense
from zoo.layers.encoder_parts import MeanPooling, Pooler
from zoo.layers.initializers import Normal
from zoo.tasks.encoder_task import EncoderTask
from zoo.tasks.losses import of_logits

POOLERS = {"first": "tanh", "first_relu": "relu"}
POOLINGS = (*POOLERS, "mean")


@keras.saving.register_keras_serializable("zoo")
class TextClassifier(EncoderTask):
    """An encoder and a linear layer on its pooled output: texts to one of several labels.

    Devlin et al., 2019, section 4.1, https://arxiv.org/abs/1810.04805.

    ```python
    model = zoo.load("bert-small", task="text_classification", labels=["neg", "pos"])
    model.fit(["A joy.", "A bore."], ["pos", "neg"])
    model.predict_labels("A joy from start to end.")
    ```

    `fit` and `evaluate` take a list of strings or of pairs of strings, with a list of labels:
    names or their numbers. Texts that are too long are cut, with one warning.

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        labels: a list of names, in the order of the logits.
        pooling: `"first"`, BERT's pooler on the first token, or `"first_relu"`, DistilBERT's, or
            `"mean"` over all tokens; None for the backbone's usual one.
        head_dropout: float, on the pooled output, in training.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict with `segment_ids` and `padding_mask`.

    Returns:
        Logits `(batch, len(labels))`.

    Raises:
        ValueError: if `labels` are not at least two different names, or `pooling` is unknown.
    """

    task_name = "text_classification"
    arguments = EncoderTask.arguments | {
        "labels": LABELS,
        "pooling": Choice(*POOLINGS),
        "head_dropout": RATE,
    }
    heads = ("pooler", "classifier")

    def __init__(
        self, backbone, tokenizer=None, labels=(), pooling=None, head_dropout=0.1, **kwargs
    ):
        labels = check_labels_list(labels)
        pooling = backbone.default_pooling if pooling is None else pooling
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}; got {pooling!r}.")
        if pooling in POOLERS and backbone.is_recurrent and not backbone.bidirectional:
            raise ValueError(
                f"pooling={pooling!r} needs an encoder whose first output has seen the whole "
                f"text; this {type(backbone).__name__} reads from left to right. Choose "
                "pooling='mean' or bidirectional=True."
            )
        dtype = backbone.dtype_policy
        inputs = self.symbolic_inputs(backbone)
        hidden = backbone(inputs)
        if pooling in POOLERS:
            pooled = Pooler(POOLERS[pooling], dtype=dtype, name="pooler")(hidden)
        else:
            mean = MeanPooling(dtype=dtype, name="mean_pooling")
            pooled = mean(hidden, padding_mask=inputs["padding_mask"])
        pooled = keras.layers.Dropout(head_dropout, dtype=dtype, name="head_dropout")(pooled)
        classifier = Dense(
            len(labels), kernel_initializer=Normal(0.02), dtype=dtype, name="classifier"
        )
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=classifier(pooled), **kwargs)
        self.labels = tuple(labels)
        self.pooling = pooling
        self.head_dropout = head_dropout

    def usual_loss(self):
        return of_logits("sparse_categorical_crossentropy")

    def usual_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")]

    needs_labels = True

    def is_example(self, item):
        return is_text(item) or is_pair(item)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        form = self.row_format
        firsts, seconds = form.tokens(x)
        labels = None if y is None else label_ids(y, self.labels)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(x))
        if class_weight is not None:
            by_class = class_weights(class_weight, self.labels, labels)[labels]
            weights = by_class if weights is None else by_class * weights
        if training:
            kept = with_text(firsts, seconds)
            firsts, seconds = (pick(rows, kept) for rows in (firsts, seconds))
            labels, weights = (pick(array, kept) for array in (labels, weights))
        examples = form.lay_out(firsts, seconds)
        examples.labels, examples.weights = labels, weights
        return examples

    def predict_labels(self, texts, batch_size=None):
        """The likeliest label of each text, with the probabilities of all.

        Args:
            texts: a string, a list of strings or a list of pairs of strings.
            batch_size: int.

        Returns:
            `{"label": str, "probabilities": {label: float}}`; a list of such for a list.
        """
        logits = self.predict(texts, batch_size, verbose=0).astype("float64")
        probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        results = [
            {
                "label": self.labels[row.argmax()],
                "probabilities": dict(zip(self.labels, row.tolist(), strict=True)),
            }
            for row in probabilities
        ]
        return results[0] if isinstance(texts, str) else results

    def get_config(self):
        config = {name: getattr(self, name) for name in ("pooling", "head_dropout")}
        return {**super().get_config(), "labels": list(self.labels), **config}
