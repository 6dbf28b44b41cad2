"""Backbones: token ids in, hidden states out."""

from zoo.models.base import Backbone
from zoo.models.bert import BERT
from zoo.models.distilbert import DistilBERT
from zoo.models.gpt import GPT
from zoo.models.lstm import LSTM
from zoo.models.lstm_seq2seq import LSTMSeq2Seq
from zoo.models.roberta import RoBERTa
from zoo.models.transformer import Transformer

FAMILIES = {
    cls.family: cls for cls in (GPT, BERT, RoBERTa, DistilBERT, Transformer, LSTM, LSTMSeq2Seq)
}

__all__ = [
    "BERT",
    "FAMILIES",
    "GPT",
    "LSTM",
    "Backbone",
    "DistilBERT",
    "LSTMSeq2Seq",
    "RoBERTa",
    "Transformer",
]
