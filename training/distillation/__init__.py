"""A small model learns from a large one.

    teacher = zoo.load("path/to/fine-tuned-bert")
    student = zoo.load("bert-mini", task="text_classification", labels=teacher.labels)
    distiller = Distiller(student, teacher, hinton(temperature=4.0))
    distiller.fit(texts, labels, epochs=3)
    zoo.save(student, "runs/student")

What a student learns is a list of losses, and each method of the literature is a function that
makes one: `hinton`, `distilbert`, `patient`, `tinybert`, `minilm`. `sequence_targets` has a
translator write what another learns from; `copy_layers` and `prune_vocabulary` give a student the
weights that it starts with.
"""

from zoo.training.distillation.copying import copy_layers, prune_vocabulary
from zoo.training.distillation.distiller import Distiller
from zoo.training.distillation.losses import OwnLoss, SoftTargets
from zoo.training.distillation.methods import distilbert, hinton, minilm, patient, tinybert
from zoo.training.distillation.relations import AttentionScores, Relations
from zoo.training.distillation.sequences import sequence_targets
from zoo.training.distillation.states import (
    FirstStates,
    HiddenCosine,
    HiddenStates,
    SentenceVectors,
)

__all__ = [
    "AttentionScores",
    "Distiller",
    "FirstStates",
    "HiddenCosine",
    "HiddenStates",
    "OwnLoss",
    "Relations",
    "SentenceVectors",
    "SoftTargets",
    "copy_layers",
    "distilbert",
    "hinton",
    "minilm",
    "patient",
    "prune_vocabulary",
    "sequence_targets",
    "tinybert",
]
