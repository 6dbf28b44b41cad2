"""A file for each family of transformers: tables of its names, its config and its tokens."""

from zoo.checkpoints.families.bart import BART, MARIAN, MBART, PEGASUS
from zoo.checkpoints.families.bert import BERT
from zoo.checkpoints.families.distilbert import DISTILBERT
from zoo.checkpoints.families.gpt2 import GPT2
from zoo.checkpoints.families.gpt_neox import GPT_NEOX
from zoo.checkpoints.families.llama import LLAMA, MISTRAL, QWEN2, QWEN3, SMOLLM3
from zoo.checkpoints.families.roberta import ROBERTA, XLM_ROBERTA
from zoo.checkpoints.families.t5 import T5

FAMILIES = (
    *(BERT, ROBERTA, XLM_ROBERTA, DISTILBERT),
    *(GPT2, GPT_NEOX, LLAMA, MISTRAL, QWEN2, QWEN3, SMOLLM3),
    *(T5, BART, MBART, MARIAN, PEGASUS),
)
FOREIGN = {family.name: family for family in FAMILIES}
