"""Losses of hidden states; between models of different widths, through a learned projection."""

import keras
from keras import ops
from zoo.training.distillation.losses import DistillationLoss, is_below, weighted_mean


class StateLoss(DistillationLoss):
    """What the losses of pairs of layers share.

    Args:
        layers: pairs of the student's and the teacher's layers: 0 for the embeddings, i for what
            block i leaves, negative ones from the end; None for the usual ones.
        weight, name: those of `DistillationLoss`.
    """

    def __init__(self, layers=None, weight=1.0, name=None):
        super().__init__(weight, name)
        self.layers = layers
        self.projection = None

    def usual_layers(self, student_layers, teacher_layers):
        """The pairs that are taken where none are given."""
        return equal_steps(student_layers, teacher_layers)

    def prepare(self, student, teacher):
        """Settle the layers; make a projection if the widths differ."""
        counts = num_blocks(student, "student"), num_blocks(teacher, "teacher")
        if self.layers is None:
            self.layers = self.usual_layers(*counts)
        self.layers = checked_pairs(self.layers, *counts)
        self.deepest = max(resolved(layer, counts[0]) for layer, _ in self.layers)
        width, wanted = student.backbone.hidden_dim, teacher.backbone.hidden_dim
        if width != wanted:
            self.projection = keras.layers.Dense(
                wanted, use_bias=False, dtype="float32", name=f"{self.name}_projection"
            )
            self.projection.build((None, None, width))

    def trains(self, path):
        return is_below(path, self.deepest)

    def projected(self, states):
        """The student's states, as wide as the teacher's."""
        return states if self.projection is None else self.projection(states)

    def pair_loss(self, student, teacher, layer, taught_layer):
        """The loss of one pair of layers."""
        raise NotImplementedError

    def value(self, student, teacher):
        """The sum over the pairs of layers."""
        return sum(self.pair_loss(student, teacher, *pair) for pair in self.layers)


class HiddenStates(StateLoss):
    """Mean squared differences of the states of tokens.

    Jiao et al., 2020 (TinyBERT), equations 8 and 9, https://arxiv.org/abs/1909.10351. One
    projection serves all pairs of layers; models of one width have none.
    """

    usual_name = "hidden_states"

    def pair_loss(self, student, teacher, layer, taught_layer):
        difference = self.projected(student.state(layer)) - teacher.state(taught_layer)
        return weighted_mean(ops.mean(ops.square(difference), axis=-1), both(student, teacher))


class HiddenCosine(StateLoss):
    """`1 - cos` of the states of tokens, of the last layers if nothing else is said.

    Sanh et al., 2019 (DistilBERT), https://arxiv.org/abs/1910.01108.
    """

    usual_name = "hidden_cosine"

    def usual_layers(self, student_layers, teacher_layers):
        return [(-1, -1)]

    def pair_loss(self, student, teacher, layer, taught_layer):
        cosine = cosines(self.projected(student.state(layer)), teacher.state(taught_layer))
        return weighted_mean(1 - cosine, both(student, teacher))


class FirstStates(StateLoss):
    """`|s / |s| - t / |t||^2` of the first token's states, between the layers.

    Sun et al., 2019 (BERT-PKD), equation 7, https://arxiv.org/abs/1908.09355: usually of all layers
    of the student but the last, with every so-many-th one of the teacher (PKD-Skip).
    """

    usual_name = "first_states"

    def usual_layers(self, student_layers, teacher_layers):
        return equal_steps(student_layers, teacher_layers)[:-1] or [(-1, -1)]

    def pair_loss(self, student, teacher, layer, taught_layer):
        first = self.projected(student.states_of_tokens(layer)[:, :1])[:, 0]
        taught = teacher.states_of_tokens(taught_layer)[:, 0]
        distance = ops.sum(ops.square(unit(first) - unit(taught)), axis=-1)
        return weighted_mean(distance, student.token_mask[:, 0])


class SentenceVectors(StateLoss):
    """`1 - cos` of the means over each text's last states, and of how texts lie to one another.

    The mean of squares of both models' differences in the cosines of all pairs of texts of a batch
    is added: that part needs no projection, as in Tung and Mori, 2019,
    https://arxiv.org/abs/1907.09682. Vectors that follow a teacher's: Reimers and Gurevych, 2020,
    https://arxiv.org/abs/2004.09813.
    """

    usual_name = "sentence_vectors"

    def usual_layers(self, student_layers, teacher_layers):
        return [(-1, -1)]

    def pair_loss(self, student, teacher, layer, taught_layer):
        theirs = mean_of_tokens(student, layer)
        taught = mean_of_tokens(teacher, taught_layer)
        rows = ops.max(student.token_mask, axis=1)  # what each text counts
        apart = weighted_mean(1 - cosines(self.projected(theirs), taught), rows)
        difference = ops.square(table(theirs) - table(taught))
        pairs = rows[:, None] * rows[None, :]
        return apart + weighted_mean(difference, pairs)


def mean_of_tokens(seen, layer):
    """`(batch, hidden_dim)`: the means over real tokens."""
    weight = ops.cast(seen.token_mask > 0, "float32")[:, :, None]
    states = seen.states_of_tokens(layer)
    return ops.divide_no_nan(ops.sum(states * weight, axis=1), ops.sum(weight, axis=1))


def table(vectors):
    """The cosines of all pairs of rows."""
    vectors = unit(vectors)
    return ops.matmul(vectors, ops.transpose(vectors))


def unit(vectors):
    """Vectors at length 1; the zero vector stays, with a gradient of 0."""
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))


def cosines(vectors, others):
    return ops.sum(unit(vectors) * unit(others), axis=-1)


def both(student, teacher):
    """What each token, or piece of text, counts that both models have."""
    return student.mask * ops.cast(teacher.mask > 0, "float32")


def equal_steps(student_layers, teacher_layers):
    """`[(1, ...), ..., (last, last)]`: each block of the student beside one of the teacher."""
    return [
        (layer, -(-layer * teacher_layers // student_layers))
        for layer in range(1, student_layers + 1)
    ]


def resolved(layer, count):
    """The number of a layer that may be counted from the end."""
    return layer if layer >= 0 else count + 1 + layer


def num_blocks(task, role):
    """How many Transformer blocks a task has that others can look into."""
    blocks = getattr(task.backbone, "blocks", None)
    if not blocks or not hasattr(blocks[0], "attention"):
        raise ValueError(
            f"Hidden states are compared block by block, and the {role}, a "
            f"{type(task.backbone).__name__}, has no such stack; use soft targets."
        )
    return len(blocks)


def checked_pairs(pairs, student_layers, teacher_layers, first=0):
    """Pairs of layers as a list; refuses layers that do not exist."""
    pairs = [tuple(pair) for pair in pairs]
    for pair in pairs:
        for layer, count, role in zip(
            pair, (student_layers, teacher_layers), ("student", "teacher"), strict=True
        ):
            if not (first <= layer <= count or -count <= layer <= -1):
                raise ValueError(
                    f"The {role} has the layers {first} to {count}, or -{count} to -1 from its "
                    f"end; got {layer} in {pair}."
                )
    return pairs
