"""Backbones: token ids in, hidden states out."""

from zoo.models.base import Backbone
from zoo.models.bert import BERT
from zoo.models.distilbert import DistilBERT
from zoo.models.gpt import GPT
from zoo.models.gpt_neox import GPTNeoX
from zoo.models.llama import Llama
from zoo.models.lstm import LSTM
from zoo.models.lstm_seq2seq import LSTMSeq2Seq
from zoo.models.roberta import RoBERTa
from zoo.models.transformer import Transformer

FAMILIES = {
    cls.family: cls
    for cls in (GPT, GPTNeoX, Llama, BERT, RoBERTa, DistilBERT, Transformer, LSTM, LSTMSeq2Seq)
}

__all__ = [
    "BERT",
    "FAMILIES",
    "GPT",
    "LSTM",
    "Backbone",
    "DistilBERT",
    "GPTNeoX",
    "LSTMSeq2Seq",
    "Llama",
    "RoBERTa",
    "Transformer",
]
