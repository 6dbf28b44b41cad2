"""nlpia's chatbot: characters of a line of dialogue to those of the next, by two LSTMs.

Lane, Howard and Hapke, "Natural Language Processing in Action", 2019, chapter 10. Its LSTMs are
those of Sutskever et al., 2014, trained with Keras 2.1: gates are hard sigmoids, characters are
one-hot, and the head has a bias. Here a table of unit vectors makes characters one-hot, kernels
have rows of zeros for the features that are left, and the readout does what the head did.

Its sources were followed by zero vectors up to 100 positions, which the LSTM read as well. To the
encoder here, `FILLER` and the end token are such vectors, and a source must be filled up with them:

    model.generate(text.ljust(nlpia.SOURCE_LENGTH - 1, nlpia.FILLER))
"""

import numpy as np
from zoo.training.foreign import arrays, lookup

from zoo.checkpoints.formats import keras_files
from zoo.checkpoints.tables import Joined
from zoo.models import LSTMSeq2Seq
from zoo.tasks import Seq2SeqLM

ENCODER, DECODER = "encoder_seq2seq.hd5", "decoder_seq2seq.hd5"
BOTH = f"{ENCODER} and {DECODER}"

SOURCE_LENGTH = 100  # positions that the encoder reads
MAX_LENGTH = 102
FILLER = "_"
SPECIAL = ("<sos>", "<eos>")  # a tab and a line break, in theirs
CHARACTERS = " !',.0123456789:;?abcdefghijklmnopqrstuvwxyz"  # sorted, as their training did
TOKENS = (*SPECIAL, *CHARACTERS, FILLER)
NEVER = -1e4  # the filler's logit: its probability is 0

CELLS = {"encoder": "lstm_1/lstm_1", "decoder": "lstm_2/lstm_2"}
HEAD = "dense_1/dense_1"
FIRST = {"encoder": len(SPECIAL), "decoder": 0}  # feature of the first character that each reads
COUNT = {"encoder": len(CHARACTERS), "decoder": len(SPECIAL) + len(CHARACTERS)}


class Placed:
    """An array of ours that holds one of theirs, from its first column on; or none.

    Args:
        background: all else of it.
        name: what theirs is called.
        shape: of theirs.
        first_row: where theirs begins.
        scale: a number to multiply theirs by.
    """

    def __init__(self, background, name=None, shape=(), first_row=0, scale=1.0):
        self.background = background
        self.names = () if name is None else (name,)
        self.shape = shape
        self.first_row = first_row
        self.scale = scale

    def their_shapes(self, shape, arguments):
        return [self.shape] * len(self.names)

    def to_ours(self, theirs, arguments):
        ours = self.background.astype("float32")
        for array in theirs:
            rows = slice(self.first_row, self.first_row + len(array))
            ours[(rows, *map(slice, array.shape[1:]))] = self.scale * array
        return ours


def make_table(dim):
    """The table of a model with `dim` units, which are as many features."""
    head_bias = np.zeros(dim)
    head_bias[TOKENS.index(FILLER)] = NEVER
    num_decoded = COUNT["decoder"]
    table = {
        "token_embedding/embeddings": Placed(np.eye(len(TOKENS), dim)),
        "decoder/readout/kernel": Placed(
            np.zeros((dim, dim)), f"{HEAD}/kernel:0", (dim, num_decoded)
        ),
        "decoder/readout/bias": Placed(head_bias, f"{HEAD}/bias:0", (num_decoded,)),
    }
    for side, cell in CELLS.items():
        # Embeddings are scaled by sqrt(dim) where they are read: 16 here, which loses no bit.
        kernel = f"{cell}/kernel:0", (COUNT[side], 4 * dim), FIRST[side], dim**-0.5
        table[f"{side}/lstm_0/kernel"] = Placed(np.zeros((dim, 4 * dim)), *kernel)
        for name in ("recurrent_kernel", "bias"):
            table[f"{side}/lstm_0/{name}"] = Joined((f"{cell}/{name}:0",))
    return table


def read(files):
    """A task from their two files.

    Args:
        files: `{name: bytes}` of the encoder's weights and the decoder's.

    Returns:
        A `zoo.Seq2SeqLM` of lower-case text.

    Raises:
        ValueError: damaged, or of another model.
    """
    theirs = {}
    for name in (ENCODER, DECODER):
        theirs |= keras_files.read_arrays(files[name], name)
    dim = len(theirs.get(f"{CELLS['encoder']}/recurrent_kernel:0", ()))
    if dim < len(TOKENS):
        raise ValueError(
            f"{ENCODER} must have an LSTM of at least {len(TOKENS)} units, one for each character, "
            f"under {CELLS['encoder']!r}; got {dim}."
        )
    backbone = LSTMSeq2Seq(
        vocab_size=len(TOKENS),
        num_layers=1,
        hidden_dim=dim,
        attention=None,
        bidirectional=False,
        max_length=MAX_LENGTH,
        dropout=0.0,
        gate="hard_sigmoid",
    )
    model = Seq2SeqLM(backbone, make_tokenizer())
    arrays.fill(model, theirs, make_table(dim), BOTH)
    return model


def make_tokenizer():
    """Characters to ids; others are a zero vector, as fillers are."""
    return lookup.make_tokenizer(TOKENS, SPECIAL, r"[\s\S]", unknown=FILLER)
