"""The methods of the literature, each a list of losses for `Distiller`."""

from zoo.training.distillation.losses import OwnLoss, SoftTargets
from zoo.training.distillation.relations import AttentionScores, Relations
from zoo.training.distillation.states import FirstStates, HiddenCosine, HiddenStates


def hinton(temperature=2.0, hard=0.5):
    """Soft targets beside the labels: Hinton et al., 2015, https://arxiv.org/abs/1503.02531.

    Args:
        temperature: float, what logits are divided by.
        hard: float from 0 to 1, the weight of the student's own loss; at 0 no labels are needed.
    """
    share("hard", hard)
    soft = [SoftTargets(temperature, weight=1 - hard)] if hard < 1 else []
    return ([OwnLoss(hard)] if hard > 0 else []) + soft


def distilbert(temperature=2.0, soft=5.0, own=2.0, cosine=1.0):
    """Soft targets, masked tokens and the cosine of the last hidden states.

    Sanh et al., 2019, https://arxiv.org/abs/1910.01108, with the weights of their published run.
    The student starts from every other layer of its teacher: see `copy_layers`.
    """
    return [
        SoftTargets(temperature, weight=soft),
        OwnLoss(own),
        HiddenCosine(weight=cosine),
    ]


def patient(temperature=10.0, hard=0.5, beta=100.0, layers=None):
    """Soft targets, labels and the first token's states between the layers.

    Sun et al., 2019 (BERT-PKD), https://arxiv.org/abs/1908.09355: `hard` is their `1 - alpha`.

    Args:
        temperature, hard: those of `hinton`.
        beta: float, the weight of the states.
        layers: pairs of the student's and the teacher's layers; None for their PKD-Skip.
    """
    return [*hinton(temperature, hard), FirstStates(layers, weight=beta)]


def tinybert(layers=None):
    """Embeddings, attention and hidden states, which have no labels.

    Jiao et al., 2020, https://arxiv.org/abs/1909.10351. Their second stage, the task itself, is
    `hinton(temperature=1.0, hard=0.0)`, over texts that `zoo.training.augmentation` makes more of.

    Args:
        layers: pairs of the student's and the teacher's layers; None for equal steps.
    """
    return [
        HiddenStates([(0, 0)], name="embedding_states"),
        AttentionScores(layers),
        HiddenStates(layers),
    ]


def minilm(num_heads=None, teacher_layer=-1):
    """The last layer's relations: of queries to keys, and among values.

    Wang et al., 2020, https://arxiv.org/abs/2002.10957. Heads of another number are cut anew from
    what all heads have: Wang et al., 2021 (MiniLMv2), https://arxiv.org/abs/2012.15828.

    Args:
        num_heads: int, heads of the relations; None for the models' own.
        teacher_layer: int; the second half's first layers serve a large teacher better.
    """
    return [
        Relations("query", "key", num_heads, teacher_layer, name="attention_relation"),
        Relations("value", "value", num_heads, teacher_layer, name="value_relation"),
    ]


def share(name, value):
    """Raise ValueError for what is no share of 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1; got {value!r}.")
