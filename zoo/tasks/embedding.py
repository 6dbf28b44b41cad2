"""Text embeddings: a vector for each text, near those of texts that mean the same."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.arguments import Number
from zoo.data.batches import Batches, Examples, Splits, padded_length
from zoo.data.labels import checked_weights
from zoo.data.rows import is_pair, pick, with_text
from zoo.data.sources import to_list
from zoo.data.texts import is_text
from zoo.layers import is_likeliest, token_nats
from zoo.layers.encoder_parts import MeanPooling
from zoo.models.base import Backbone
from zoo.tasks.encoder_task import EncoderTask
from zoo.tokenizers import Tokenizer


@keras.saving.register_keras_serializable("zoo")
class TextEmbedder(EncoderTask):
    """An encoder and the mean over its tokens, scaled to length 1.

    Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084.

    ```python
    model = zoo.load("path/to/all-MiniLM-L6-v2", task="embedding")
    model.similarity("A cat sleeps.", "The kitten is asleep.")
    ```

    `fit` and `evaluate` take a list of one of these:

    - pairs of texts that mean the same: each text must find its partner among the partners of its
      batch (van den Oord et al., 2018, https://arxiv.org/abs/1807.03748);
    - pairs, with scores from -1 to 1 in `y`, 0 and 1 among them for pairs that do not mean the
      same and pairs that do: the cosine of each pair must be its score;
    - triplets of a text, one that means the same and one that seems to: the text must find the
      second among the second and third texts of its batch.

    `accuracy` is the share of texts that find their partner, or of pairs whose cosine is on the
    same side of one half as their score.

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        scale: float, what cosines are multiplied with in training before the softmax.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict with `segment_ids` and `padding_mask`.

    Returns:
        float `(batch, hidden_dim)`, each row of length 1.
    """

    task_name = "embedding"
    arguments = EncoderTask.arguments | {"scale": Number(0, 1e6)}

    def __init__(
        self, backbone: Backbone, tokenizer: Tokenizer | None = None, scale: float = 20.0, **kwargs
    ) -> None:
        dtype = backbone.dtype_policy
        inputs = self.symbolic_inputs(backbone)
        mean = MeanPooling(dtype=dtype, name="mean_pooling")
        pooled = mean(backbone(inputs), padding_mask=inputs["padding_mask"])
        unit = keras.layers.UnitNormalization(dtype="float32", name="unit")
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=unit(pooled), **kwargs)
        self.scale = scale
        self.accuracy = keras.metrics.Mean(name="accuracy", dtype="float32")

    ids_need_labels = False

    def is_example(self, item):
        return is_text(item) or is_pair(item, counts=(2, 3))

    def rows(self, x):
        form = self.row_format
        return form.lay_out(form.tokens([text for one in x for text in as_tuple(one)])[0])

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`TextTuples` of pairs or triplets of texts."""
        count = len(x[0]) if isinstance(x[0], tuple) else 1
        for place, one in enumerate(x):
            if count == 1 or not isinstance(one, tuple) or len(one) != count:
                raise ValueError(
                    "fit takes pairs of texts that mean the same or triplets with a third that "
                    "does not, a list of (text, text) or (text, text, text); got "
                    f"{'single texts such as ' if count == 1 else ''}{str(one)[:40]!r} at position "
                    f"{place}."
                )
        scores = None if y is None else checked_scores(y, len(x), count)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(x), "pair")
        form = self.row_format
        columns = [form.tokens([one[i] for one in x])[0] for i in range(count)]
        if training:
            kept = with_text([all(one) for one in zip(*columns, strict=True)])
            columns = [pick(rows, kept) for rows in columns]
            scores, weights = pick(scores, kept), pick(weights, kept)
        rows = form.lay_out([row for one in zip(*columns, strict=True) for row in one])
        return TextTuples(rows, count, scores, weights)

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        return TupleBatches(examples, batch_size, shuffle, self.backbone.max_length, seed, is_fixed)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean over pairs or triplets; their texts are rows one by one."""
        kind = next(iter(y)) if isinstance(y, dict) else "pairs"
        if kind == "scores":
            nats, hits = self._score_losses(y_pred, ops.cast(y[kind], "float32"))
        else:
            nats, hits = self._ranking_losses(y_pred, 3 if kind == "triplets" else 2)
        if sample_weight is None:
            self.accuracy.update_state(hits)
            return ops.mean(nats)
        weight = ops.cast(sample_weight, "float32")
        weight = weight if isinstance(y, dict) else weight[0::2]  # of rows
        self.accuracy.update_state(hits, sample_weight=weight)
        return ops.divide_no_nan(ops.sum(weight * nats), ops.sum(weight))

    def _ranking_losses(self, vectors, count):
        """In-batch softmax over cosines, both ways, and whether each text found its partner."""
        firsts, seconds = vectors[0::count], vectors[1::count]
        others = seconds if count == 2 else ops.concatenate([seconds, vectors[2::count]])
        scores = self.scale * ops.matmul(firsts, ops.transpose(others))
        back = self.scale * ops.matmul(seconds, ops.transpose(firsts))
        partner = ops.arange(ops.shape(scores)[0], dtype="int32")
        nats = (token_nats(partner, scores) + token_nats(partner, back)) / 2
        return nats, is_likeliest(partner, scores)

    def _score_losses(self, vectors, scores):
        """Squared errors of cosines, and whether each is on its score's side of one half."""
        cosines = ops.sum(vectors[0::2] * vectors[1::2], axis=-1)
        hits = ops.cast((cosines >= 0.5) == (scores >= 0.5), "float32")
        return ops.square(cosines - scores), hits

    def encode(self, texts: Any, batch_size: int | None = None) -> np.ndarray:
        """Unit vectors of texts.

        Args:
            texts: a string or a list of strings.
            batch_size: int.

        Returns:
            float32 `(len(texts), hidden_dim)`; `(hidden_dim,)` for a string.
        """
        vectors = np.asarray(self.predict(texts, batch_size, verbose=0), "float32")
        return vectors[0] if isinstance(texts, str) else vectors

    def similarity(
        self, texts: Any, others: Any, batch_size: int | None = None
    ) -> float | np.ndarray:
        """Cosines of texts with others.

        Args:
            texts, others: a string or a list of strings each.
            batch_size: int.

        Returns:
            float32 `(len(texts), len(others))`; a float for two strings.
        """
        for one in (texts, others):
            self.check_readable(one)
        first = np.atleast_2d(self.encode(texts, batch_size))
        second = np.atleast_2d(self.encode(others, batch_size))
        cosines = first @ second.T
        both_single = isinstance(texts, str) and isinstance(others, str)
        return float(cosines[0, 0]) if both_single else cosines

    def get_config(self) -> dict:
        return {**super().get_config(), "scale": self.scale}


def as_tuple(example):
    return example if isinstance(example, tuple) else (example,)


def checked_scores(y, count, texts):
    """Scores of pairs as float32 `(count,)`; refuses those of anything else."""
    if texts == 3:
        raise ValueError("Triplets say by themselves what is near what: leave y out.")
    scores = np.asarray(to_list(y))
    if scores.shape != (count,) or scores.dtype.kind not in "iufb":
        raise ValueError(
            f"y must have a score from -1 to 1 for each of the {count} pairs; got shape "
            f"{scores.shape} and dtype {scores.dtype}."
        )
    scores = scores.astype("float32")
    outside = scores[~((scores >= -1) & (scores <= 1))]
    if len(outside):
        raise ValueError(
            "y must be scores from -1 to 1, since a cosine is compared with each; got "
            f"{outside[0]:g}. Divide them by the largest."
        )
    return scores


@dataclasses.dataclass
class TextTuples(Splits):
    """Pairs or triplets of texts.

    Attributes:
        rows: `Examples` of all texts, those of a pair or triplet one behind the other.
        count: int, 2 or 3.
        scores: float32, of the pairs; or None.
        weights: float32, of the pairs or triplets; or None.
    """

    rows: Examples
    count: int
    scores: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __len__(self):
        return len(self.rows) // self.count

    def part(self, rows):
        """Some of them, by a slice."""
        start, stop, _ = rows.indices(len(self))
        texts = self.rows.part(slice(start * self.count, stop * self.count))
        rest = (None if one is None else one[rows] for one in (self.scores, self.weights))
        return TextTuples(texts, self.count, *rest)


class TupleBatches(Batches):
    """Batches of pairs or triplets, the texts of each one after the other.

    Labels are a dict of one name, which says what is learnt: `pairs`, `triplets` or `scores`.

    Args:
        examples: `TextTuples`.
        batch_size: int, pairs or triplets in a batch.
        shuffle: bool.
        max_length: int, which no row is padded beyond.
        seed: int or None.
        is_fixed: bool, whether every epoch is the first again.
    """

    def __init__(self, examples, batch_size, shuffle, max_length, seed=None, is_fixed=False):
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_length = max_length
        self.lengths = examples.rows.lengths
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        drawn = rng.permutation(len(self.examples))
        order = drawn if self.shuffle or self.is_fixed else np.arange(len(drawn))
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def make(self, planned):
        examples = self.examples
        rows = (planned[:, None] * examples.count + np.arange(examples.count)).reshape(-1)
        length = padded_length(int(self.lengths[rows].max()), self.max_length)
        inputs = examples.rows.batch(rows, length)[0]
        labels = {"triplets" if examples.count == 3 else "pairs": np.zeros(len(planned), "int32")}
        if examples.scores is not None:
            labels = {"scores": examples.scores[planned]}
        if examples.weights is None:
            return inputs, labels
        return inputs, labels, examples.weights[planned]
