"""What tasks share that learn from documents, which they cut and mask anew in every epoch."""

import keras

from zoo.data.checks import is_text, require_something


class LearnsFromDocuments:
    """`fit` and `evaluate` of a task that makes batches of documents by itself.

    The task has a method `batches(documents, batch_size, seed, is_fixed)`, which gives
    `zoo.data.batches.Batches`.
    """

    def fit(self, x=None, y=None, batch_size=None, *args, validation_data=None, **kwargs):
        """Train on documents, on arrays or on any Keras dataset; see `keras.Model.fit`."""
        if isinstance(validation_data, (str, list, tuple)) and is_text(validation_data):
            validation_data = self.fixed_batches(validation_data, batch_size)
        kwargs["validation_data"] = validation_data
        if not self.is_raw(x):
            return super().fit(x, y, batch_size, *args, **kwargs)
        data = self.batches(x, batch_size).for_keras()
        return keras.Model.fit(self, data, None, None, *args, shuffle=False, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Losses and metrics on documents, on arrays or on any Keras dataset.

        Documents are cut and masked the same way each time.
        """
        if not self.is_raw(x):
            return super().evaluate(x, y, batch_size, **kwargs)
        return keras.Model.evaluate(self, self.fixed_batches(x, batch_size), **kwargs)

    def fixed_batches(self, documents, batch_size):
        """Batches to measure on: the same each time."""
        return self.batches(documents, batch_size, seed=0, is_fixed=True).for_keras()

    def is_raw(self, x):
        """Whether `x` is text, rather than what Keras reads."""
        require_something(x)
        return is_text(x)
