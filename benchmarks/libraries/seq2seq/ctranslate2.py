"""CTranslate2 in float32."""

import ctranslate2

from benchmarks.libraries.seq2seq import transformers as theirs
from benchmarks.libraries.translated import FastestThreads, converted, token


class Model:
    """A `ctranslate2.Translator` of a random BART."""

    logits = None  # it gives none

    def __init__(self, sizes, compute_type):
        self.num_parameters = sizes.num_parameters  # those of the BART that is converted
        self.models = FastestThreads(
            converted(ctranslate2.Translator, theirs.build, sizes, compute_type)
        )

    def translate(self, sources, new_tokens, width=1):
        rows = [[token(i) for i in source] for source in sources]
        # No target ends early: the shortest is as long as the longest.
        options = {"max_decoding_length": new_tokens, "min_decoding_length": new_tokens}
        results = self.models(
            f"a beam of {width}",
            lambda model: model.translate_batch(rows, beam_size=width, **options),
        )
        return [[int(word[1:]) for word in result.hypotheses[0]] for result in results]


def build(sizes):
    return Model(sizes, "float32")
