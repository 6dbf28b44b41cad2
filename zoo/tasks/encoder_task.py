"""What the tasks over whole texts share: rows of texts in, batched by length."""

from zoo.data.batches import LengthBuckets
from zoo.data.rows import RowFormat
from zoo.models.base import token_inputs
from zoo.tasks.base import Task


class EncoderTask(Task):
    """A task over an encoder that reads each text, or pair of texts, as one row.

    A subclass says in `is_example` what it takes, and in `examples` what that becomes. Rows are
    batched by length: none is padded to the length of a much longer one, and the results are those
    of any other batching.
    """

    pads_outputs = False

    @property
    def optional_inputs(self):
        return of_one_text(self.backbone)

    @staticmethod
    def symbolic_inputs(backbone):
        return token_inputs(of_one_text(backbone))

    @property
    def row_format(self):
        return RowFormat(self.require_tokenizer(), self.backbone, self.special_tokens)

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        return LengthBuckets(examples, batch_size, shuffle, self.backbone.max_length, seed)

    def freeze(self, what: str | int | None) -> None:
        """Leave some weights as they are. The next `fit` starts with an optimizer that knows.

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
        last = blocks[len(blocks) - what :] if is_count else []
        self.backbone.trainable = True
        for layer in self.backbone.layers:  # each: on TensorFlow, one that is True tells no other
            layer.trainable = what is None or layer in last


def of_one_text(backbone):
    """A backbone's optional inputs, but those of a target of its own."""
    return tuple(name for name in backbone.optional_inputs if not name.startswith("decoder_"))
