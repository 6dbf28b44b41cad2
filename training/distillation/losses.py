"""What the losses of a distillation share, and those of outputs."""

import keras
from keras import ops, tree

from zoo.tasks import BertPretrainer, QuestionAnswerer, TextEmbedder


class DistillationLoss(keras.layers.Layer):
    """A float32 scalar of what student and teacher made of a batch, of real tokens alone.

    It is a layer, since it may have weights that are learned beside the student's.

    Args:
        weight: float above 0, what it counts in the sum of all.
        name: str, what it is reported as; None for the class's own.

    Attributes:
        needs_outputs: bool, whether it reads what the tasks' heads give.
        needs_same_tokens: bool, whether both must see the same tokens.
    """

    needs_outputs = False
    needs_same_tokens = False
    usual_name = None

    def __init__(self, weight=1.0, name=None):
        super().__init__(name=name or self.usual_name, dtype="float32")
        if not weight > 0:
            raise ValueError(f"The weight of {self.name} must be above 0; got {weight!r}.")
        self.weight = float(weight)

    def prepare(self, student, teacher):
        """Check that two tasks fit, and make what is learned beside the student."""

    def trains(self, path):
        """Whether a weight of the student, known by its path, has a part in this loss."""
        return True

    def value(self, student, teacher):
        """The loss of a batch.

        Args:
            student, teacher: `zoo.training.distillation.seen.Seen`.
        """
        raise NotImplementedError


class OwnLoss(DistillationLoss):
    """The loss that the student is compiled with: what it learns from labels, or from text."""

    usual_name = "own_loss"


class SoftTargets(DistillationLoss):
    """`T^2 KL(softmax(t / T) || softmax(s / T))` of the teacher's logits t and the student's s.

    Hinton et al., 2015, https://arxiv.org/abs/1503.02531. The mean counts what the student's own
    loss counts: texts, tokens of a language model, masked tokens, words with a tag.

    Args:
        temperature: float above 0.
        weight, name: those of `DistillationLoss`.
    """

    needs_outputs = True
    usual_name = "soft_targets"

    def __init__(self, temperature=2.0, weight=1.0, name=None):
        super().__init__(weight, name)
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0; got {temperature!r}.")
        self.temperature = float(temperature)

    def prepare(self, student, teacher):
        """Refuse a teacher whose outputs mean something else."""
        if type(student) is not type(teacher):
            raise ValueError(
                f"Soft targets need a teacher of the student's task; the student is a "
                f"{type(student).__name__}, the teacher a {type(teacher).__name__}."
            )
        if isinstance(student, TextEmbedder):
            raise ValueError(
                "A TextEmbedder gives vectors and no logits, so it has no soft targets. Use "
                "SentenceVectors."
            )
        labels = getattr(student, "labels", None), getattr(teacher, "labels", None)
        if labels[0] != labels[1]:
            raise ValueError(
                "Soft targets need the same labels in the same order; the student's are "
                f"{labels[0]}, the teacher's {labels[1]}."
            )
        sizes = student.backbone.vocab_size, teacher.backbone.vocab_size
        if labels[0] is None and not isinstance(student, QuestionAnswerer) and len({*sizes}) == 2:
            raise ValueError(
                "Soft targets over tokens need one vocabulary; the student has "
                f"{sizes[0]} tokens, the teacher {sizes[1]}."
            )
        self.problem = getattr(student, "problem", "single_label")
        if self.problem not in ("single_label", "multi_label"):
            raise ValueError(
                "Soft targets are of labels, and a model of plain numbers has none; use "
                "HiddenStates, or the teacher's numbers as labels."
            )
        self.needs_same_tokens = len(student.outputs[0].shape) == 3 or isinstance(
            student, BertPretrainer
        )
        self.is_of_spans = isinstance(student, QuestionAnswerer)

    def value(self, student, teacher):
        """The mean over what is weighed; the sum of both, of a task with two outputs."""
        return sum(
            self._mean(theirs, taught, weight)
            for theirs, taught, weight in zip(
                tree.flatten(student.outputs),
                tree.flatten(teacher.outputs),
                tree.flatten(student.output_weights),
                strict=True,
            )
        )

    def _mean(self, logits, taught, weight):
        if self.is_of_spans:  # a softmax over positions: (batch, length, 2) to (batch, 2, length)
            logits, taught = (ops.transpose(x, (0, 2, 1)) for x in (logits, taught))
            weight = ops.broadcast_to(weight[:, None], ops.shape(logits)[:2])
        if (
            self.problem == "multi_label"
        ):  # a sigmoid is a softmax beside 0; labels are weighed alike
            logits, taught = (ops.stack([ops.zeros_like(x), x], axis=-1) for x in (logits, taught))
            weight = ops.broadcast_to(weight[:, None], ops.shape(logits)[:2])
        log_p = ops.log_softmax(ops.cast(taught, "float32") / self.temperature, axis=-1)
        log_q = ops.log_softmax(ops.cast(logits, "float32") / self.temperature, axis=-1)
        nats = ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)
        return self.temperature**2 * weighted_mean(nats, weight)


def is_below(path, layer, within=""):
    """Whether a weight has a part in what block `layer` leaves, or in what is `within` that block.

    Args:
        path: str, such as `"block_0/attention/qkv/kernel"`.
        layer: int, from 1 on; 0 for the embeddings.
        within: str, how the names of weights go on after the last block's, where it is not all.
    """
    top, _, rest = path.partition("/")
    kind, _, number = top.rpartition("_")
    if kind == "block" and number.isdecimal():
        block = int(number) + 1
        return block < layer or (block == layer and rest.startswith(within))
    return "embedding" in top


def weighted_mean(values, weight):
    """The mean over weights, 0 where there are none."""
    return ops.divide_no_nan(ops.sum(values * weight), ops.sum(weight))
