"""Whatever a user has, to batches: texts, pairs, labels, files of the field, token files."""

from zoo.data.formats import QAExample, read_conll, read_squad
from zoo.data.token_files import PackedRows, TokenFile, write_token_file

__all__ = [
    "PackedRows",
    "QAExample",
    "TokenFile",
    "read_conll",
    "read_squad",
    "write_token_file",
]
