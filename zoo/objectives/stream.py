"""Causal language modelling over one long stream, read on from batch to batch."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from zoo.objectives.base import as_ids, check_sizes
from zoo.objectives.causal_lm import PackedCausalLM
from zoo.ranges import SIZE


class ContinuedCausalLM(PackedCausalLM):
    """Documents to batches of one token stream, each of which goes on where the last one stopped.

    For truncated backpropagation through time, as in Merity et al., 2018,
    https://arxiv.org/abs/1708.02182. The stream is that of `PackedCausalLM`; see `continued_rows`.

    Args:
        batch_size: int, lanes that are read side by side.
        length: int, tokens of a lane in a batch.
        separator_id: int.
        seed: int, the order of the documents; None keeps them as they come.
        drop_remainder: bool. A stream of less than one batch is kept whatever this says.

    Call arguments:
        documents: an iterable of sequences of token ids.

    Returns:
        `(token_ids, labels, sample_weight)`, each `(num_batches * batch_size, length)`: int32,
        int32, float32; the weights are None when every one of them is 1.

    Raises:
        ValueError: if there is no token to train on, or too few for a label in each lane.
    """

    arguments = PackedCausalLM.arguments | {"batch_size": SIZE}

    def __init__(
        self,
        batch_size: int,
        length: int,
        separator_id: int,
        seed: int | None = None,
        drop_remainder: bool = True,
    ) -> None:
        super().__init__(length, separator_id, seed, drop_remainder)
        self.batch_size = batch_size

    def __call__(self, documents: Iterable) -> tuple:
        stream = self._stream(as_ids(documents))
        return continued_rows(stream, self.batch_size, self.length, self.drop_remainder)


def continued_rows(
    stream: Any, batch_size: int, length: int, drop_remainder: bool = False
) -> tuple:
    """Cut a stream of tokens into rows for `fit(..., batch_size=batch_size, shuffle=False)`.

    The stream is cut into `batch_size` lanes, and each lane into windows. Batch k holds the window
    k of every lane, so row i of a batch goes on where row i of the batch before it stopped, and a
    row's labels are its tokens moved by one. With one lane the whole stream is read in order.

    Args:
        stream: int `(tokens,)`.
        batch_size: int.
        length: int, tokens in a window.
        drop_remainder: bool, whether to leave out tokens at the end that fill no lane, and the last
            window of the lanes if it is not full; else they are padded, with weight 0.

    Returns:
        As `ContinuedCausalLM`.

    Raises:
        ValueError: a stream that is none, or too short for a label in each lane, or a size below 1.
    """
    stream = np.asarray(stream)
    check_sizes(batch_size, length)
    if stream.ndim != 1 or stream.dtype.kind not in "iu":
        raise ValueError(
            "A stream of token ids must be a (tokens,) array of whole numbers; got shape "
            f"{stream.shape} and dtype {stream.dtype}."
        )
    num_labels = len(stream) - 1
    if num_labels < batch_size:
        raise ValueError(
            f"A stream read in {batch_size} lanes must have more than {batch_size} tokens; got "
            f"{len(stream)}. Pass a smaller batch_size."
        )
    lane = num_labels // batch_size if drop_remainder else -(-num_labels // batch_size)
    num_windows = -(-lane // length)
    if drop_remainder and lane >= length:
        num_windows = lane // length
        lane = num_windows * length
    # place[lane, window, position] of a token in the stream; those beyond a lane's end are padding
    position = np.arange(num_windows * length).reshape(num_windows, length)
    place = np.arange(batch_size)[:, None, None] * lane + position
    is_real = (position < lane) & (place < num_labels)
    place = np.minimum(place, num_labels - 1).swapaxes(0, 1).reshape(-1, length)
    weight = is_real.swapaxes(0, 1).reshape(-1, length).astype("float32")
    token_ids, labels = (stream[place + shift].astype("int32") for shift in (0, 1))
    return token_ids, labels, None if weight.all() else weight
