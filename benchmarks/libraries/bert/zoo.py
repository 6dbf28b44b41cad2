"""This library's tasks on texts, all settings at their defaults but one.

That one drops attention probabilities as well, as BERT's own training and the peers do.
"""

import zoo
from benchmarks import inputs


class Classifier:
    """A `zoo.TextClassifier`, with the optimizer that it comes with."""

    def __init__(self, model):
        self.model = model

    def fit(self, texts, labels, rows):
        history = self.model.fit(texts, labels, batch_size=rows, verbose=0)
        return history.history["loss"][0]

    def count_tokens(self, texts):
        return self.model.examples(texts).lengths.tolist()


def build_classifier(sizes):
    names = [str(label) for label in range(sizes.num_labels)]
    return Classifier(zoo.TextClassifier(*_encoder(sizes), labels=names))


def build_embedder(sizes):
    return zoo.TextEmbedder(*_encoder(sizes))


def _encoder(sizes):
    """A BERT and its tokenizer."""
    backbone = zoo.models.BERT(
        vocab_size=sizes.vocab_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        max_length=sizes.context,
        dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
    )
    pieces = inputs.word_pieces(sizes.vocab_size)
    return backbone, zoo.tokenizers.WordPieceTokenizer.from_vocab(pieces)
