"""CTranslate2 in int8."""

from benchmarks.libraries.gpt.ctranslate2 import Model


def build(sizes):
    return Model(sizes, "int8")
