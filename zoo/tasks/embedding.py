"""Text embeddings: a vector for each text, near those of texts that mean the same."""

import keras
import numpy as np
from keras import ops

from zoo.arguments import Number
from zoo.data.batches import Batches, padded_length
from zoo.data.checks import is_text
from zoo.data.rows import is_pairs
from zoo.layers import is_likeliest, token_nats
from zoo.layers.encoder_parts import MeanPooling
from zoo.tasks.encoder_task import BATCH_SIZE, EncoderTask


@keras.saving.register_keras_serializable("zoo")
class TextEmbedder(EncoderTask):
    """An encoder and the mean over its tokens, scaled to length 1.

    Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084.

    ```python
    model = zoo.load("path/to/all-MiniLM-L6-v2", task="embedding")
    model.similarity("A cat sleeps.", "The kitten is asleep.")
    ```

    `fit` takes a list of pairs of texts that mean the same: each text must find its partner among
    the partners of its batch (van den Oord et al., 2018, https://arxiv.org/abs/1807.03748).

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

    def __init__(self, backbone, tokenizer=None, scale=20.0, **kwargs):
        dtype = backbone.dtype_policy
        inputs = self.symbolic_inputs(backbone)
        mean = MeanPooling(dtype=dtype, name="mean_pooling")
        pooled = mean(backbone(inputs), padding_mask=inputs["padding_mask"])
        unit = keras.layers.UnitNormalization(dtype="float32", name="unit")
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=unit(pooled), **kwargs)
        self.scale = scale
        self.accuracy = keras.metrics.Mean(name="accuracy", dtype="float32")

    def is_raw(self, x):
        return is_text(x) or is_pairs(x)

    def examples(self, x, y=None, sample_weight=None):
        if is_pairs(x):
            x = [text for pair in x for text in pair]  # the two of a pair follow each other
        return self.row_format.encode([x] if isinstance(x, str) else list(x))

    def fit(self, x=None, y=None, batch_size=None, epochs=1, *, validation_data=None, **kwargs):
        """Train on pairs of texts, or on any Keras dataset of batches of pairs one by one."""
        if is_pairs(validation_data):
            validation_data = self._pairs(validation_data, batch_size, seed=0).for_keras()
        kwargs |= {"epochs": epochs, "validation_data": validation_data}
        if not is_pairs(x):
            if is_text(x):
                raise ValueError(
                    "fit takes pairs of texts that mean the same, a list of (text, text); got "
                    f"single texts such as {np.asarray(x).flat[0][:40]!r}."
                )
            return super().fit(x, y, batch_size, **kwargs)
        data = self._pairs(x, batch_size).for_keras()
        return keras.Model.fit(self, data, shuffle=False, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """The loss on pairs of texts, and how often a text finds its partner in its batch."""
        if not is_pairs(x):
            return super().evaluate(x, y, batch_size, **kwargs)
        return keras.Model.evaluate(self, self._pairs(x, batch_size, seed=0).for_keras(), **kwargs)

    def _pairs(self, pairs, batch_size, seed=None):
        examples = self.examples(pairs)
        return PairBatches(examples, batch_size or BATCH_SIZE, self.backbone.max_length, seed)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """In-batch softmax over cosines, both ways; the rows are pairs one by one."""
        firsts, seconds = y_pred[0::2], y_pred[1::2]
        scores = self.scale * ops.matmul(firsts, ops.transpose(seconds))
        partner = ops.arange(ops.shape(scores)[0], dtype="int32")
        self.accuracy.update_state(is_likeliest(partner, scores))
        both = token_nats(partner, scores) + token_nats(partner, ops.transpose(scores))
        return ops.mean(both) / 2

    def encode(self, texts, batch_size=None):
        """Unit vectors of texts.

        Args:
            texts: a string or a list of strings.
            batch_size: int.

        Returns:
            float32 `(len(texts), hidden_dim)`; `(hidden_dim,)` for a string.
        """
        vectors = self.predict([texts] if isinstance(texts, str) else texts, batch_size)
        vectors = np.asarray(vectors, "float32")
        return vectors[0] if isinstance(texts, str) else vectors

    def similarity(self, texts, others, batch_size=None):
        """Cosines of texts with others.

        Args:
            texts, others: a string or a list of strings each.
            batch_size: int.

        Returns:
            float32 `(len(texts), len(others))`; a float for two strings.
        """
        first = np.atleast_2d(self.encode(texts, batch_size))
        second = np.atleast_2d(self.encode(others, batch_size))
        cosines = first @ second.T
        both_single = isinstance(texts, str) and isinstance(others, str)
        return float(cosines[0, 0]) if both_single else cosines

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class PairBatches(Batches):
    """Batches of pairs, the two texts of each one after the other.

    Args:
        examples: `Examples` of an even number of rows.
        batch_size: int, pairs in a batch.
        max_length: int, which no row is padded beyond.
        seed: int or None; with one, every epoch is the same.
    """

    def __init__(self, examples, batch_size, max_length, seed=None):
        self.examples = examples
        self.batch_size = batch_size
        self.max_length = max_length
        self.lengths = examples.lengths
        super().__init__(seed, is_fixed=seed is not None)

    def plan(self, rng):
        order = rng.permutation(len(self.lengths) // 2)
        return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    def make(self, planned):
        rows = np.stack([2 * planned, 2 * planned + 1], axis=1).reshape(-1)
        length = padded_length(int(self.lengths[rows].max()), self.max_length)
        return (*self.examples.batch(rows, length), np.zeros(len(rows), "int32"))
