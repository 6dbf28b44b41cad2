"""Backbones: token ids in, hidden states out."""

from zoo.models.bart import BART
from zoo.models.base import Backbone
from zoo.models.bert import BERT
from zoo.models.distilbert import DistilBERT
from zoo.models.gpt import GPT
from zoo.models.gpt_neox import GPTNeoX
from zoo.models.llama import Llama
from zoo.models.lstm import LSTM
from zoo.models.lstm_seq2seq import LSTMSeq2Seq
from zoo.models.marian import Marian
from zoo.models.roberta import RoBERTa
from zoo.models.t5 import T5
from zoo.models.transformer import Transformer

FAMILIES = {
    cls.family: cls
    for cls in (
        *(GPT, GPTNeoX, Llama),
        *(BERT, RoBERTa, DistilBERT),
        *(Transformer, T5, BART, Marian),
        *(LSTM, LSTMSeq2Seq),
    )
}

__all__ = [
    "BART",
    "BERT",
    "FAMILIES",
    "GPT",
    "LSTM",
    "T5",
    "Backbone",
    "DistilBERT",
    "GPTNeoX",
    "LSTMSeq2Seq",
    "Llama",
    "Marian",
    "RoBERTa",
    "Transformer",
]
