"""What the tasks over whole texts share: rows of texts in, batched by length."""

import keras
import numpy as np

from zoo.data.batches import LengthBuckets
from zoo.data.checks import check_token_ids, require_something
from zoo.data.rows import RowFormat
from zoo.models.base import token_inputs
from zoo.tasks.base import Task

BATCH_SIZE = 32


class EncoderTask(Task):
    """A task over an encoder that reads each text, or pair of texts, as one row.

    A subclass says in `is_raw` what it takes besides arrays and datasets, and in `examples` what
    that becomes. `fit`, `evaluate` and `predict` batch such rows by length: no row is padded to
    the length of a much longer one, and the results are those of any other batching.
    """

    @property
    def optional_inputs(self):
        return self.backbone.optional_inputs

    @staticmethod
    def symbolic_inputs(backbone):
        return token_inputs(backbone.optional_inputs)

    @property
    def row_format(self):
        return RowFormat(self.require_tokenizer(), self.backbone)

    def is_raw(self, x):
        """Whether `x` is what `examples` takes."""
        raise NotImplementedError

    def examples(self, x, y=None, sample_weight=None):
        """`zoo.data.batches.Examples` of texts, their labels and their weights."""
        raise NotImplementedError

    def freeze(self, what):
        """Leave some weights as they are.

        Args:
            what: `"backbone"`; or an int n for all of the backbone but its last n blocks; or
                None for nothing.

        Raises:
            ValueError: anything else, or more blocks than there are.
        """
        blocks = self.backbone.blocks
        is_count = isinstance(what, int) and not isinstance(what, bool)
        if not (what in (None, "backbone") or (is_count and 0 <= what <= len(blocks))):
            raise ValueError(
                "freeze must be 'backbone', None, or how many of the last blocks to train, from 0 "
                f"to {len(blocks)}; got {what!r}."
            )
        self.backbone.trainable = True
        if what == "backbone" or is_count:
            last = blocks[len(blocks) - what :] if is_count else []
            for layer in self.backbone.layers:
                layer.trainable = layer in last

    def prepare(self, x, y=None, sample_weight=None, training=True):
        check_token_ids(x, self.backbone)
        return x, y, sample_weight

    def prepare_inputs(self, x):
        check_token_ids(x, self.backbone)
        return x

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        *,
        sample_weight=None,
        validation_data=None,
        validation_split=0.0,
        shuffle=True,
        **kwargs,
    ):
        """Train on texts and labels, on arrays or on any Keras dataset; see `keras.Model.fit`.

        `validation_data` is a tuple of what `evaluate` takes; `validation_split` the share of the
        last texts that are held out.
        """
        require_something(x)
        if isinstance(validation_data, (list, tuple)) and self.is_raw(validation_data[0]):
            examples = self.examples(*validation_data)
            validation_data = self._buckets(examples, batch_size, shuffle=False).for_keras()
        kwargs |= {"epochs": epochs, "validation_data": validation_data}
        if not self.is_raw(x):
            kwargs |= {"validation_split": validation_split, "shuffle": shuffle}
            kwargs |= {"batch_size": batch_size, "sample_weight": sample_weight}
            return super().fit(x, y, **kwargs)
        examples = self.examples(x, y, sample_weight, **self._row_arguments(kwargs))
        if validation_split:
            examples, held_out = examples.split(validation_split)
            kwargs["validation_data"] = self._buckets(held_out, batch_size, False).for_keras()
        data = self._buckets(examples, batch_size, shuffle)
        return keras.Model.fit(self, data.for_keras(), shuffle=False, **kwargs)

    def _row_arguments(self, kwargs):
        """Arguments of `fit` that `examples` takes, removed from those for Keras."""
        return {}

    def evaluate(self, x=None, y=None, batch_size=None, *, sample_weight=None, **kwargs):
        """Loss and metrics on texts and labels, on arrays or on any Keras dataset."""
        require_something(x)
        if not self.is_raw(x):
            kwargs |= {"batch_size": batch_size, "sample_weight": sample_weight}
            return super().evaluate(x, y, **kwargs)
        data = self._buckets(self.examples(x, y, sample_weight), batch_size, shuffle=False)
        return keras.Model.evaluate(self, data.for_keras(), **kwargs)

    def predict(self, x, batch_size=None, **kwargs):
        """The model's output for texts, arrays or any Keras dataset.

        For texts: an array with a row for each where the outputs have one shape; where each token
        has an output, a list of arrays, each as long as its text.
        """
        require_something(x)
        if not self.is_raw(x):
            return super().predict(x, batch_size=batch_size, **kwargs)
        rows = self.predict_rows(self.examples(x), batch_size)
        return rows if self.outputs[0].ndim > 2 else np.stack(rows)

    def predict_rows(self, examples, batch_size=None):
        """The output of each row, in the rows' order, without its padding."""
        data = self._buckets(examples, batch_size, shuffle=False)
        is_per_token = self.outputs[0].ndim > 2
        rows = [None] * len(examples)
        for index, planned in enumerate(data.plan(None)):
            outputs = self.predict_on_batch(data[index][0])
            for row, output in zip(planned, np.asarray(outputs), strict=True):
                rows[row] = output[: data.lengths[row]] if is_per_token else output
        return rows

    def _buckets(self, examples, batch_size, shuffle):
        size = batch_size or BATCH_SIZE
        return LengthBuckets(examples, size, shuffle, self.backbone.max_length)
