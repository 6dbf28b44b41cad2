"""KerasHub's BERT, with the preprocessor that pads every text to the same length."""

import keras
import keras_hub
import numpy as np

from benchmarks import inputs


class Classifier:
    """A `keras_hub.models.BertTextClassifier`, which tokenizes strings in its `fit`."""

    def __init__(self, model):
        self.model = model

    def fit(self, texts, labels, rows):
        history = self.model.fit(texts, labels, batch_size=rows, verbose=0)
        return history.history["loss"][0]

    def count_tokens(self, texts):
        mask = self.model.preprocessor(texts)["padding_mask"]
        return keras.ops.convert_to_numpy(mask).sum(axis=-1).tolist()


class Embedder:
    """A `keras_hub.models.BertBackbone` and the mean over its tokens, in NumPy."""

    def __init__(self, backbone, preprocessor):
        self.backbone = backbone
        self.preprocessor = preprocessor

    def encode(self, texts):
        features = self.preprocessor(texts)
        hidden = self.backbone.predict(features, verbose=0)["sequence_output"]
        weight = keras.ops.convert_to_numpy(features["padding_mask"])[:, :, None].astype("float32")
        mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
        return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def build_classifier(sizes):
    model = keras_hub.models.BertTextClassifier(
        _backbone(sizes),
        num_classes=sizes.num_labels,
        preprocessor=_preprocessor(sizes),
        dropout=sizes.dropout,
    )
    model.compile(optimizer=keras.optimizers.AdamW(5e-5, weight_decay=0.01, global_clipnorm=1.0))
    return Classifier(model)


def build_embedder(sizes):
    return Embedder(_backbone(sizes), _preprocessor(sizes))


def _backbone(sizes):
    return keras_hub.models.BertBackbone(
        vocabulary_size=sizes.vocab_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        intermediate_dim=4 * sizes.hidden_dim,
        max_sequence_length=sizes.context,
        dropout=sizes.dropout,
    )


def _preprocessor(sizes):
    pieces = inputs.word_pieces(sizes.vocab_size)
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=pieces, lowercase=True)
    return keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=sizes.context)
