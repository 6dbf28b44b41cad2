"""Contrastive search: held to its formula in NumPy, by a model that reads whole texts."""

import numpy as np
import pytest
from keras import ops

from tests.models import tiny_gpt, tiny_lstm
from zoo.generation import Beam, Contrastive

PROMPTS = [[1, 2, 3], [4] * 9]


def searched(model, prompt, count, alpha, width):
    """`score(v) = (1 - alpha) p(v) - alpha max_j cos(h_v, h_j)`, every text read from its start."""

    def read(ids):
        hidden = model.backbone(np.array([ids], "int32"))
        logits = ops.convert_to_numpy(model.backbone.logits(hidden))[0, -1].astype("float64")
        hidden = ops.convert_to_numpy(hidden)[0].astype("float64")
        chance = np.exp(logits - logits.max())
        return hidden / np.linalg.norm(hidden, axis=1, keepdims=True), chance / chance.sum()

    ids = list(prompt)
    for _ in range(count):
        _, chance = read(ids)
        scores = {}
        for token in np.argsort(-chance)[:width]:
            hidden, _ = read([*ids, int(token)])
            scores[int(token)] = (1 - alpha) * chance[token] - alpha * (
                hidden[:-1] @ hidden[-1]
            ).max()
        ids.append(max(scores, key=scores.get))
    return ids


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("make", [tiny_gpt, tiny_lstm])
def test_it_is_what_the_formula_says(make):
    model = make(with_tokenizer=False)
    expected = [searched(model, prompt, 5, alpha=0.6, width=3) for prompt in PROMPTS]
    assert model.generate(PROMPTS, 5, penalty_alpha=0.6, top_k=3) == expected
    assert list(model.stream(PROMPTS[0], 5, sampler=Contrastive(0.6, 3))) == expected[0][3:]
    greedy = model.generate(PROMPTS, 8)
    assert model.generate(PROMPTS, 5, sampler=Contrastive(0.0, 3)) == greedy
    assert expected != greedy


def test_bad_input_is_one_sentence():
    model = tiny_gpt()

    def refused(match, **how):
        with pytest.raises(ValueError, match=match):
            model.generate("The sea", 4, **how)

    refused("penalty_alpha must be between 0 and 1; got 2", penalty_alpha=2)
    refused("takes penalty_alpha and top_k, and draws nothing: leave out temperature",
            penalty_alpha=0.5, temperature=0.5)  # fmt: skip
    refused("penalty_alpha is for a contrastive search", penalty_alpha=0.5, sampler="greedy")
    refused("penalty_alpha must be said once", penalty_alpha=0.5, sampler=Beam(2))
    refused("top_k of a contrastive search must be at most", penalty_alpha=0.5, top_k=1000)
    refused("finds one text, so num_return must be 1; got 2", sampler="contrastive", num_return=2)
    refused("than a beam or a contrastive search", sampler="contrastive", draft="prompt")
