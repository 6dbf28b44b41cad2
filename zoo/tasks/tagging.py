"""Token classification: a label for each word, as for parts of speech and named entities."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.arguments import LABELS, RATE
from zoo.checks import require_whole
from zoo.data.encoding import encoded
from zoo.data.entities import entities, is_bio
from zoo.data.labels import (
    check_count,
    check_labels_list,
    check_numbers,
    checked_weights,
    class_weights,
    label_ids,
    require_equal_counts,
)
from zoo.data.sources import texts_of, to_list
from zoo.data.texts import user_level
from zoo.data.windows import best_window
from zoo.layers import TokenCrossEntropy
from zoo.layers.dense import Dense
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone
from zoo.tasks.encoder_task import EncoderTask
from zoo.tasks.language_model import token_weights
from zoo.tokenizers import Tokenizer


@keras.saving.register_keras_serializable("zoo")
class TokenClassifier(EncoderTask):
    """An encoder and a linear layer on each of its outputs: words to labels.

    Devlin et al., 2019, section 5.3, https://arxiv.org/abs/1810.04805: the first piece of a word
    stands for it, the others have weight 0.

    ```python
    model = zoo.load("bert-small", task="token_classification", labels=["O", "B-PER", "I-PER"])
    model.fit([["Ann", "sings", "."]], [["B-PER", "O", "O"]])   # or *zoo.tasks.read_conll(path)
    model.tag("Ann sings.")
    ```

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        labels: a list of names, in the order of the logits. If they are `O`, `B-x` and `I-x`,
            `tag` returns whole entities.
        head_dropout: float, on the encoder's output, in training.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict with `segment_ids` and `padding_mask`.

    Returns:
        Logits `(batch, length, len(labels))`.

    Raises:
        ValueError: if `labels` are not at least two different names.
    """

    task_name = "token_classification"
    arguments = EncoderTask.arguments | {"labels": LABELS, "head_dropout": RATE}
    heads = ("token_classifier",)

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        labels: Any = (),
        head_dropout: float = 0.1,
        **kwargs,
    ) -> None:
        labels = check_labels_list(labels)
        dtype = backbone.dtype_policy
        inputs = self.symbolic_inputs(backbone)
        dropout = keras.layers.Dropout(head_dropout, dtype=dtype, name="head_dropout")
        classifier = Dense(
            len(labels), kernel_initializer=Normal(0.02), dtype=dtype, name="token_classifier"
        )
        outputs = classifier(dropout(backbone(inputs)))
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.labels = tuple(labels)
        self.head_dropout = head_dropout

    def usual_loss(self):
        return TokenCrossEntropy()

    def usual_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy", dtype="float32")]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, token_weights(y, sample_weight), training)

    def num_averaged(self, x, y, sample_weight):
        """Keras weighs each batch by its rows; this by its labelled words."""
        return ops.sum(token_weights(y, sample_weight))

    def label_array(self, y, count):
        if y.dtype.kind in "OUS":
            y = np.array([label_ids(row, self.labels) for row in y.tolist()])
        check_count(y, count)
        if y.ndim == 2:
            check_numbers(y, self.labels)
        return y

    needs_labels = True
    nouns = "sentence", "list of tags"

    def is_example(self, item):
        return is_words(item)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """Rows of sentences of words, a label and a weight at the first piece of each word."""
        check_sentences(x, y)
        if sample_weight is not None:
            sample_weight = weights_of_words(sample_weight, x)
        labels = None if y is None else [label_ids(tags, self.labels) for tags in y]
        if class_weight is not None:
            by_class = class_weights(class_weight, self.labels, np.concatenate(labels))
        pieces = self._pieces(x)
        form = self.row_format
        room = form.room(False)
        num_cut = sum(len(ids) > room for ids, _ in pieces)
        if num_cut:
            warnings.warn(
                f"{num_cut} of {len(pieces)} sentences were longer than the model's "
                f"{form.max_length} tokens; the words beyond were left out.",
                stacklevel=user_level(),
            )
        examples = form.lay_out([ids[:room] for ids, _ in pieces])
        if y is None:
            return examples
        examples.labels, examples.weights = [], []
        for number, (row, (_, firsts)) in enumerate(
            zip(examples.inputs["token_ids"], pieces, strict=True)
        ):
            places = 1 + np.array([place for place in firsts if place < room], "int64")
            of_row, weights = np.zeros(len(row), "int32"), np.zeros(len(row), "float32")
            of_row[places] = labels[number][: len(places)]
            weights[places] = 1 if class_weight is None else by_class[of_row[places]]
            if sample_weight is not None:
                weights[places] *= sample_weight[number][: len(places)]
            examples.labels.append(of_row)
            examples.weights.append(weights)
        return examples

    def _pieces(self, sentences):
        """The token ids of each sentence, and where the first one of each word stands."""
        texts = [" ".join(words) for words in sentences]
        found = encoded(self.tokenizer, texts, self.tokenizer.encode_with_offsets)
        return [self._of_words(*one) for one in zip(sentences, found, strict=True)]

    def _of_words(self, words, found):
        ids, offsets = found
        ends = np.cumsum([len(word) + 1 for word in words])  # of each word and the space behind it
        word_of = np.searchsorted(ends, [end - 1 for _, end in offsets], side="right")
        pieces, firsts = [], []
        for number in range(len(words)):
            own = [ids[place] for place in np.flatnonzero(word_of == number)]
            firsts.append(len(pieces))
            pieces += own or [self._stand_in(words[number])]
        return pieces, firsts

    def _stand_in(self, word):
        if self.tokenizer.unknown_id is None:
            raise ValueError(
                f"Each word must have a token, but the tokenizer makes none of {word!r} and has no "
                "token for the unknown. Leave the word out."
            )
        return self.tokenizer.unknown_id

    def predict_tags(self, sentences: Any, batch_size: int | None = None) -> list[list[str]]:
        """The likeliest tag of each word.

        A sentence that is longer than the model's context is read in overlapping windows.

        Args:
            sentences: a list of lists of str.
            batch_size: int.

        Returns:
            A list of lists of str, as long as the sentences.
        """
        sentences = to_list(sentences)
        check_sentences(sentences)
        require_whole("batch_size", batch_size)
        self.require_tokenizer()
        pieces = self._pieces(sentences)
        logits = self._piece_logits([ids for ids, _ in pieces], batch_size)
        return [
            [self.labels[best] for best in row[firsts].argmax(axis=-1)]
            for row, (_, firsts) in zip(logits, pieces, strict=True)
        ]

    def _piece_logits(self, rows, batch_size=None):
        """float64 `(tokens, labels)` of each row, a long one in windows."""
        examples, spans, places = self.row_format.windows(rows)
        outputs = iter(zip(self.predict_rows(examples, batch_size), places, strict=True))
        results = []
        for row, windows in zip(rows, spans, strict=True):
            of_window = [next(outputs) for _ in windows]
            logits = np.zeros((len(row), len(self.labels)))
            for place in range(len(row)):
                number = best_window(place, windows)
                output, first = of_window[number]
                logits[place] = output[first + place - windows[number][0]]
            results.append(logits)
        return results

    def tag(self, text: Any) -> list:
        """Label the words of a text.

        The words are the tokenizer's: BERT's sets punctuation apart. A text that is longer than
        the model's context is read in overlapping windows.

        Args:
            text: a string, or a list of strings.

        Returns:
            A list of `{"label", "text", "start", "end", "score"}`, for a list of texts a list of
            such: an entity each if the labels are `O`, `B-x` and `I-x`, else a word each.
            `text[start:end]` is what is labelled; the score is the mean of its words'
            probabilities of their labels.
        """
        texts, single = texts_of(text, "text")
        found = encoded(self.tokenizer, texts, self.require_tokenizer().encode_with_words)
        logits = self._piece_logits([ids for ids, _, _ in found])
        results = [self._spans(*one) for one in zip(texts, found, logits, strict=True)]
        return results[0] if single else results

    def _spans(self, text, found, logits):
        _, offsets, words = found
        first_pieces = [i for i, word in enumerate(words) if i == 0 or word != words[i - 1]]
        last_pieces = [i - 1 for i in first_pieces[1:]] + [len(words) - 1]
        logits = logits[first_pieces]
        probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        best = probabilities.argmax(axis=-1) if len(logits) else np.zeros(0, "int64")
        tags = [self.labels[number] for number in best]
        if is_bio(self.labels):
            spans = entities(tags)
        else:
            spans = [(tag, place, place + 1) for place, tag in enumerate(tags)]
        results = []
        for label, first, end in spans:
            start_character = offsets[first_pieces[first]][0]
            end_character = offsets[last_pieces[end - 1]][1]
            covered = text[start_character:end_character]
            start_character += len(covered) - len(covered.lstrip())  # a byte-level token's space
            scores = probabilities[np.arange(first, end), best[first:end]]
            results.append(
                {
                    "label": label,
                    "text": text[start_character:end_character],
                    "start": start_character,
                    "end": end_character,
                    "score": float(scores.mean()),
                }
            )
        return results

    def get_config(self) -> dict:
        config = {"labels": list(self.labels), "head_dropout": self.head_dropout}
        return {**super().get_config(), **config}


def is_words(x):
    return isinstance(x, (list, tuple)) and len(x) > 0 and isinstance(x[0], str)


def check_sentences(sentences, tags=None):
    """Refuse sentences that are no lists of words, or have another number of tags."""
    if tags is not None:
        require_equal_counts(sentences, tags, "sentence", "list of tags")
    for number, words in enumerate(sentences):
        if not is_words(words):
            raise ValueError(
                "A sentence must be a list of words, with at least one; got "
                f"{str(words)[:40]!r} at position {number}."
            )
        if tags is not None and len(to_list(tags[number])) != len(words):
            raise ValueError(
                f"There must be a tag for each word; sentence {number} has {len(words)} words and "
                f"{len(to_list(tags[number]))} tags."
            )


def weights_of_words(weights, sentences):
    """float32 weights of each sentence's words, of a number for each sentence or for each word."""
    weights = to_list(weights)
    require_equal_counts(sentences, weights, "sentence", "sample_weight")
    found = []
    for weight, words in zip(weights, sentences, strict=True):
        each = to_list(weight)
        each = each * len(words) if len(each) == 1 else each
        found.append(checked_weights(each, len(words), "word"))
    return found
