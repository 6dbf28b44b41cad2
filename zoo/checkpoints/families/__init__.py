"""A file for each family of transformers: tables of its names, its config and its tokens."""

from zoo.checkpoints.families.bert import BERT
from zoo.checkpoints.families.distilbert import DISTILBERT
from zoo.checkpoints.families.gpt2 import GPT2
from zoo.checkpoints.families.roberta import ROBERTA, XLM_ROBERTA

FOREIGN = {family.name: family for family in (BERT, ROBERTA, XLM_ROBERTA, DISTILBERT, GPT2)}
