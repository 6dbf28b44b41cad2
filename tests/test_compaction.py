"""Texts that are over leave their batch: the others are what they were."""

import dataclasses
import sys

import pytest

from tests.models import random_ids, tiny_gpt, tiny_lstm, tiny_transformer
from zoo.generation import Beam, Sampler, decoding

PROMPTS = [
    row[:length].tolist() for row, length in zip(random_ids(9, 12), range(3, 12), strict=True)
]
PENALISED = Sampler(1.5, repetition_penalty=1.2)
CASES = {
    "drawn": (tiny_gpt, PENALISED),
    "beam": (tiny_gpt, Beam(2)),
    "contrastive": (tiny_gpt, "contrastive"),
    "translated": (tiny_transformer, PENALISED),
    "recurrent": (tiny_lstm, PENALISED),
}


def ending(make):
    """A model whose texts end after different numbers of tokens: with one of many."""
    stop = {"stop": tuple(range(0, 300, 6)), "decoder_start": 1}
    task = {"task": {"special_tokens": stop}} if make is tiny_transformer else {}
    model = make(with_tokenizer=False, max_length=96, **task)
    model.special_tokens = dataclasses.replace(model.special_tokens, **stop)
    return model


@pytest.mark.slow_to_compile
@pytest.mark.parametrize(("make", "sampler"), CASES.values(), ids=CASES)
def test_texts_are_the_same_when_those_that_are_over_leave(make, sampler, monkeypatch):
    how = {"sampler": sampler, "seed": list(range(9)), "return_scores": True, "batch_size": 8}
    model = ending(make)
    sizes, keep = [], decoding.Decoding._keep
    monkeypatch.setattr(sys.modules["zoo.generation.generate"], "LOOK_EVERY", 4)

    def counted(self, places):
        sizes.append((self.num_texts, len(places)))
        keep(self, places)

    monkeypatch.setattr(decoding.Decoding, "_keep", counted)
    thin = model.generate(PROMPTS, 24, **how)
    assert sizes
    assert all(after * decoding.SHRINK <= before for before, after in sizes)
    monkeypatch.setattr(decoding, "SHRINK", 100)
    sizes.clear()
    whole = model.generate(PROMPTS, 24, **how)
    assert not sizes
    assert len({len(one.token_ids) for one in whole}) > 2
    assert [one.output for one in thin] == [one.output for one in whole]
    for one, other in zip(thin, whole, strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_several_continuations_of_a_text_leave_together():
    how = {"sampler": Sampler(1.5), "seed": 5, "num_return": 2}
    model = ending(tiny_gpt)
    together = model.generate(PROMPTS, 24, batch_size=4, **how)
    how |= {"batch_size": 1, "seed": 5}
    assert together == model.generate(PROMPTS, 24, **how)


def test_a_stop_string_lets_a_text_leave():
    model = tiny_gpt(max_length=96)
    prompts = ["The sea", "It was", "x = [", "Nobody", "late"]
    whole = model.generate(prompts, 40, batch_size=1, stop=["e"])
    assert model.generate(prompts, 40, batch_size=4, stop=["e"]) == whole
