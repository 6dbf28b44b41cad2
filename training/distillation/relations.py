"""Losses of what attention heads do, between models that see the same tokens."""

from keras import ops
from zoo.training.distillation.losses import DistillationLoss, is_below, weighted_mean
from zoo.training.distillation.states import checked_pairs, equal_steps, num_blocks, resolved

from zoo.backends import backend


class AttentionLoss(DistillationLoss):
    """What the losses of queries, keys and values share: their models see the same tokens."""

    needs_same_tokens = True

    def settle(self, layers, counts):
        """Check and keep the pairs of layers."""
        self.layers = checked_pairs(layers, *counts, first=1)
        self.deepest = max(resolved(layer, counts[0]) for layer, _ in self.layers)

    def trains(self, path):
        return is_below(path, self.deepest, within="attention/qkv")


class AttentionScores(AttentionLoss):
    """Mean squared differences of attention scores, before their softmax.

    Jiao et al., 2020 (TinyBERT), equation 7, https://arxiv.org/abs/1909.10351. What a bias of
    positions adds to the scores is left out.

    Args:
        layers: pairs of the student's and the teacher's blocks, from 1 on or from the end; None
            for equal steps.
        weight, name: those of `DistillationLoss`.
    """

    usual_name = "attention_scores"

    def __init__(self, layers=None, weight=1.0, name=None):
        super().__init__(weight, name)
        self.layers = layers

    def prepare(self, student, teacher):
        """Settle the layers; refuse different numbers of heads."""
        counts = num_blocks(student, "student"), num_blocks(teacher, "teacher")
        self.settle(self.layers or equal_steps(*counts), counts)
        heads = {num_heads_of(task) for task in (student, teacher)}
        if len(heads) > 1:
            raise ValueError(
                "Attention scores are compared head by head, so both models need the same number; "
                f"the student has {num_heads_of(student)}, the teacher {num_heads_of(teacher)}. "
                "minilm(num_heads=...) compares any."
            )

    def value(self, student, teacher):
        """The sum over the pairs of layers."""
        return sum(self._pair_loss(student, teacher, *pair) for pair in self.layers)

    def _pair_loss(self, student, teacher, layer, taught_layer):
        difference = ops.square(scores(student, layer) - scores(teacher, taught_layer))
        length = ops.shape(difference)[-1]
        keys = ops.cast(student.visible(layer, length), "float32")[:, 0]
        pairs = student.token_mask[:, :, None] * keys
        return weighted_mean(ops.mean(difference, axis=1), pairs)


class Relations(AttentionLoss):
    """`KL(teacher || student)` of `softmax(a b^T / sqrt(d))`, the mean over heads and tokens.

    Wang et al., 2020 (MiniLM), https://arxiv.org/abs/2002.10957: a and b are the queries and keys,
    or both the values, of one layer of each. For `num_heads`, what all heads have is put in one row
    and cut anew (Wang et al., 2021, https://arxiv.org/abs/2012.15828).

    Args:
        first, second: `"query"`, `"key"` or `"value"`.
        num_heads: int, a divisor of what all heads have together; None for the models' own.
        teacher_layer, student_layer: int, blocks from 1 on or from the end.
        weight, name: those of `DistillationLoss`.
    """

    def __init__(
        self,
        first,
        second,
        num_heads=None,
        teacher_layer=-1,
        student_layer=-1,
        weight=1.0,
        name=None,
    ):
        super().__init__(weight, name or f"{first}_{second}_relation")
        self.names = first, second
        for one in self.names:
            if one not in ("query", "key", "value"):
                raise ValueError(f"A relation is of 'query', 'key' or 'value'; got {one!r}.")
        self.num_heads = num_heads
        self.layers = [(student_layer, teacher_layer)]

    def prepare(self, student, teacher):
        """Refuse layers that do not exist, and heads that cannot be compared."""
        counts = num_blocks(student, "student"), num_blocks(teacher, "teacher")
        self.settle(self.layers, counts)
        heads = num_heads_of(student), num_heads_of(teacher)
        if self.num_heads is None and heads[0] != heads[1]:
            raise ValueError(
                "Relations are compared head by head; the student has "
                f"{heads[0]}, the teacher {heads[1]}. Say into how many to cut both: num_heads=..."
            )
        for task, role in ((student, "student"), (teacher, "teacher")):
            attention = task.backbone.blocks[0].attention
            width = attention.num_heads * attention.head_dim
            if self.num_heads is not None and (self.num_heads < 1 or width % self.num_heads):
                raise ValueError(
                    f"num_heads must divide the {width} that the {role}'s heads have together; got "
                    f"{self.num_heads}."
                )

    def value(self, student, teacher):
        """The mean over relation heads and real tokens."""
        ((layer, taught_layer),) = self.layers
        log_q = self._log_relation(student, layer)
        log_p = self._log_relation(teacher, taught_layer)
        nats = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)  # (batch, heads, length)
        return weighted_mean(ops.mean(nats, axis=1), student.token_mask)

    def _log_relation(self, seen, layer):
        first, second = (self._cut(seen.heads(layer, name)) for name in self.names)
        products = ops.einsum("bqhd,bkhd->bhqk", first, second) * first.shape[-1] ** -0.5
        visible = seen.visible(layer, ops.shape(products)[-1])
        return ops.log_softmax(backend.hide(products, visible), axis=-1)

    def _cut(self, heads):
        if self.num_heads is None:
            return heads
        batch, length = ops.shape(heads)[:2]
        width = heads.shape[2] * heads.shape[3]
        shape = (batch, length, self.num_heads, width // self.num_heads)
        return ops.reshape(heads, shape)


def scores(seen, layer):
    """Products of queries and keys, `(batch, heads, length, length)`, as they are scaled there."""
    attention = seen.attention(layer)
    query, key = seen.heads(layer, "query"), seen.heads(layer, "key")
    scale = attention.head_dim**-0.5 if attention.scale is None else attention.scale
    return ops.einsum("bqhd,bkhd->bhqk", query, key) * scale


def num_heads_of(task):
    """The heads of a task's blocks; refuses keys that serve several queries."""
    attention = task.backbone.blocks[0].attention
    if attention.num_kv_heads != attention.num_heads:
        raise ValueError(
            "Attention is compared where each query head has keys of its own; this "
            f"{type(task.backbone).__name__} has {attention.num_heads} and "
            f"{attention.num_kv_heads}."
        )
    return attention.num_heads
