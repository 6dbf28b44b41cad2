"""A task as a TensorFlow SavedModel. Works under Keras' TensorFlow backend only.

`python -m zoo.exporting.saved_model PRESET FOLDER` exports a preset: the way of other backends.
"""

import errno
import sys

import tensorflow as tf

from zoo.backends.common import without_gradients
from zoo.exporting import checks
from zoo.exporting.causal import causal_signatures
from zoo.exporting.encoders import encoder_signatures
from zoo.exporting.seq2seq import seq2seq_signatures
from zoo.loading import load
from zoo.tasks import CausalLM, Seq2SeqLM


def write(model, folder, tell=None):
    """Write a task with the signatures that `zoo.export` tells of.

    Args:
        model: a task.
        folder: path of an empty folder.
        tell: None, or a function that is called with how many signatures are traced, and of how
            many.

    Raises:
        ValueError: if the tokenizer cannot be put into a graph.
        OSError: if TensorFlow cannot write.
    """
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]  # what the graphs may read
    signatures = make_signatures(model)
    try:
        # Whoever serves does not train: TensorFlow would warn of gradients at each loading.
        with without_gradients():
            for number, graph in enumerate(signatures.values(), 1):
                graph.get_concrete_function()
                if tell is not None:
                    tell(number, len(signatures))
            tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        if checks.DISK_FULL in error.message:
            raise OSError(errno.ENOSPC, checks.DISK_FULL) from error
        raise OSError(f"TensorFlow could not write the SavedModel: {error.message}") from error


def make_signatures(model):
    """`{name: graph}` of a task; see `zoo.export`."""
    if isinstance(model, CausalLM):
        return causal_signatures(model)
    if isinstance(model, Seq2SeqLM):
        return seq2seq_signatures(model)
    return encoder_signatures(model)


def main(preset, folder):
    """Export a preset folder into an empty folder, and print how far it is."""
    write(load(preset), folder, lambda done, total: print(done, total, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
