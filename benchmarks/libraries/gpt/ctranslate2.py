"""CTranslate2 in float32."""

import ctranslate2

from benchmarks.libraries.gpt import transformers as theirs
from benchmarks.libraries.translated import FastestThreads, converted, token


class Model:
    """A `ctranslate2.Generator` of a random GPT-2."""

    def __init__(self, sizes, compute_type):
        self.models = FastestThreads(
            converted(ctranslate2.Generator, theirs.build, sizes, compute_type)
        )

    def generate(self, prompts, new_tokens):
        rows = [[token(i) for i in prompt] for prompt in prompts]
        # No text ends early: the shortest is as long as the longest.
        lengths = {"max_length": new_tokens, "min_length": new_tokens}
        results = self.models(
            f"{len(prompts)} prompts",
            lambda model: model.generate_batch(rows, include_prompt_in_result=False, **lengths),
        )
        return [
            prompt + result.sequences_ids[0]
            for prompt, result in zip(prompts, results, strict=True)
        ]


def build(sizes):
    return Model(sizes, "float32")
