"""Models of transformers as CTranslate2 has them, float32 or int8, at their best thread count."""

import tempfile
import time
from pathlib import Path

import ctranslate2
import tokenizers
import transformers

THREADS = (1, 2)
OLD_FIELDS = {"normalize_before": False, "normalize_embedding": True, "add_final_layer_norm": False}


def token(token_id):
    """How a token is spelled: the models are random, and read no text."""
    return f"t{token_id}"


def converted(make, build, sizes, compute_type):
    """`make(folder, **options)` of a random model, with the number of threads that is fastest.

    Args:
        make: `ctranslate2.Generator` or `Translator`.
        build: of the transformers module, from sizes to a `Model`.
        sizes: `benchmarks.sizes.Sizes`.
        compute_type: `"float32"` or `"int8"`.

    Returns:
        From a function that uses one to the one that does so the fastest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "theirs", Path(scratch) / "converted"
        model = build(sizes).model
        for name, value in OLD_FIELDS.items():  # of BART's config, which the converter asks for
            setattr(model.config, name, value)
        model.save_pretrained(source)
        words = {token(i): i for i in range(sizes.vocab_size)}
        engine = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token=token(0)))
        special = dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), token(0))
        transformers.PreTrainedTokenizerFast(tokenizer_object=engine, **special).save_pretrained(
            source
        )
        converter = ctranslate2.converters.TransformersConverter(str(source))
        converter.convert(str(target), quantization=compute_type)
        options = {"device": "cpu", "compute_type": compute_type, "inter_threads": 1}
        return {n: make(str(target), intra_threads=n, **options) for n in THREADS}


class FastestThreads:
    """Uses the one of several equal models, of different thread counts, that was the fastest."""

    def __init__(self, models):
        self.models = models
        self.fastest = {}

    def __call__(self, kind, use):
        """`use(model)`; the first time for each kind of work all are tried, twice."""
        if kind not in self.fastest:
            seconds = {}
            for threads, model in self.models.items():
                use(model)
                start = time.perf_counter()
                use(model)
                seconds[threads] = time.perf_counter() - start
            self.fastest[kind] = min(seconds, key=seconds.get)
            print(f"{kind}: {self.fastest[kind]} threads are the fastest", flush=True)
        return use(self.models[self.fastest[kind]])
