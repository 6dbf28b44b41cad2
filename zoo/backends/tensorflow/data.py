"""Data on TensorFlow: any shapes, and no tuning thread, for which the end of `fit` may wait.

Keras turns arrays and generators into a `tf.data.Dataset`, and tf.data starts a thread that tunes
it at intervals of 10, 20, 40 ... ms. When the dataset is let go, the thread may miss the signal to
stop and sleep its interval out, so that a call of 6 seconds takes 10. Here is nothing to tune.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.tf_dataset_adapter import TFDatasetAdapter

from zoo.backends.data import BatchesAdapter


class UntunedAdapter(BatchesAdapter):
    """A `BatchesAdapter` whose batches may all have other sizes.

    Keras takes the shapes of the first two batches for those of all.
    """

    def get_tf_dataset(self):
        def any_size(array):
            array = np.asarray(array)
            return tf.TensorSpec([None] * array.ndim, array.dtype)

        (first,) = itertools.islice(self.batches(), 1)
        dataset = tf.data.Dataset.from_generator(
            self.batches, output_signature=keras.tree.map_structure(any_size, first)
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        options.deterministic = True
        if self.num_batches is not None and not self.first_step:
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(self.num_batches))
        return dataset.with_options(options)


def adapt_batches(read, num_batches=None, is_one_shot=False, first_step=0):
    """What `keras.Model.fit` takes for `x`, with `shuffle=False`; see `BatchesAdapter`."""
    return UntunedAdapter(read, num_batches, is_one_shot, first_step)


def stop_tuning(iterator):
    """Turn tuning off where Keras made the dataset; a user's own is theirs.

    Args:
        iterator: the `TFEpochIterator` of a `fit` or `evaluate`, not yet iterated over.
    """
    dataset = iterator._distributed_dataset
    is_own = isinstance(iterator.data_adapter, TFDatasetAdapter)
    if not is_own and isinstance(dataset, tf.data.Dataset):
        options = tf.data.Options()
        options.autotune.enabled = False
        iterator._distributed_dataset = dataset.with_options(options)
