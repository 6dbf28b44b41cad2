"""Data on TensorFlow: any shapes, and no tuning thread, for which the end of `fit` may wait.

Keras turns arrays and generators into a `tf.data.Dataset`, and tf.data starts a thread that tunes
it at intervals of 10, 20, 40 ... ms. When the dataset is let go, the thread may miss the signal to
stop and sleep its interval out, so that a call of 6 seconds takes 10. Here is nothing to tune.
"""

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters.tf_dataset_adapter import TFDatasetAdapter


def adapt_batches(batches):
    """Batches as `keras.Model.fit` reads them; pass `shuffle=False` beside it.

    Keras takes the shapes of the first two batches for those of all.
    """

    def any_size(array):
        return tf.TensorSpec([None] * array.ndim, array.dtype)

    dataset = tf.data.Dataset.from_generator(
        lambda: (batches[i] for i in range(len(batches))),
        output_signature=keras.tree.map_structure(any_size, batches[0]),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.with_options(options)


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
