"""Whatever a user has, to batches: texts, pairs, labels, files of the field, token files."""

from zoo.data.formats import QAExample, read_conll, read_squad, read_table, stream_table
from zoo.data.mixing import MixedRows
from zoo.data.token_files import PackedRows, TokenFile, write_token_file

__all__ = [
    "MixedRows",
    "PackedRows",
    "QAExample",
    "TokenFile",
    "read_conll",
    "read_squad",
    "read_table",
    "stream_table",
    "write_token_file",
]
