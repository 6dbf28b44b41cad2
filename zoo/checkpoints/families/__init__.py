"""A table for each family of transformers: names of its tensors, its config and its heads."""

from zoo.checkpoints.families.bert import BERT
from zoo.checkpoints.families.distilbert import DISTILBERT
from zoo.checkpoints.families.roberta import ROBERTA

FOREIGN = {family.name: family for family in (BERT, ROBERTA, DISTILBERT)}
