"""What a model made of a batch, as the losses of a distillation read it."""

from keras import ops

from zoo.layers import causal_mask


class Seen:
    """Outputs, hidden states, queries, keys and values of one call.

    Args:
        backbone: the backbone that was called.
        watched: what `zoo.layers.watch` gave of the call.
        mask: float32 `(batch, length)`, what each token counts: 0 for padding.
        outputs: those of the task, or None.
        output_weights: float32, what each of them counts, nested as they are; of a student.
        is_taught: bool, whether no gradient goes back, as to a teacher.
    """

    def __init__(self, backbone, watched, mask, outputs=None, output_weights=None, is_taught=False):
        self.backbone = backbone
        self.mask = mask
        self.token_mask = mask
        self.outputs = outputs
        self.output_weights = output_weights
        self._watched = watched
        self._stop = ops.stop_gradient if is_taught else lambda x: x
        self._pooling = None

    def pool(self, units):
        """From now on give the means over pieces of text, not the states of tokens.

        Args:
            units: int `(batch, length)`, the number of each token's piece from 1 on, 0 for none.
        """
        numbers = ops.arange(1, ops.shape(units)[1] + 1, dtype="int32")
        member = ops.cast(units[:, None, :] == numbers[None, :, None], "float32")
        member = member * self.token_mask[:, None, :]
        count = ops.sum(member, axis=-1)
        self._pooling = ops.divide_no_nan(member, count[:, :, None])
        self.mask = ops.cast(count > 0, "float32")

    def state(self, layer):
        """Hidden states in float32: 0 for the embeddings, i for what block i leaves; -1 the last.

        `(batch, length, hidden_dim)`; of a pooled one, a row for each piece of text.
        """
        state = self.states_of_tokens(layer)
        return state if self._pooling is None else ops.matmul(self._pooling, state)

    def states_of_tokens(self, layer):
        """The same, never pooled."""
        blocks = self.backbone.blocks
        layer = layer if layer >= 0 else len(blocks) + 1 + layer
        if layer == 0:
            state = self._watched[blocks[0]]["entered"]
        else:
            state = self._watched[blocks[layer - 1]]["left"]
        return self._stop(ops.cast(state, "float32"))

    def heads(self, layer, name):
        """The queries, keys or values of block `layer`: `(batch, length, heads, head_dim)`."""
        attention = self.attention(layer)
        return self._stop(ops.cast(self._watched[attention][name], "float32"))

    def attention(self, layer):
        """The self-attention of a block, counted from 1 or from the end."""
        return self.backbone.blocks[layer - 1 if layer > 0 else layer].attention

    def visible(self, layer, length):
        """Which keys a query sees: bool `(batch, 1, 1 or length, length)`."""
        keys = ops.cast(self.token_mask, "bool")[:, None, None, :]
        if not self.attention(layer).causal:
            return keys
        return ops.logical_and(keys, causal_mask(length, length))
