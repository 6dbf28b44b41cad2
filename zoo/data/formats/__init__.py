"""Files of labelled text as they are published: CoNLL columns, SQuAD questions, tables."""

from zoo.data.formats.conll import read_conll
from zoo.data.formats.schemes import SCHEMES, to_iob2
from zoo.data.formats.squad import QAExample, read_squad
from zoo.data.formats.tables import read_table, stream_table
from zoo.files import read_text

__all__ = [
    "SCHEMES",
    "QAExample",
    "read_conll",
    "read_squad",
    "read_table",
    "read_text",
    "stream_table",
    "to_iob2",
]
