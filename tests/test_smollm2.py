"""Weights that nobody here made: SmolLM2-135M-Instruct, a GGUF file of four bits a number."""

import pytest
from zoo.training import packages, pretrained

import zoo

NAME = "smollm2-135m-instruct"
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def model():
    if packages.cached(pretrained.info(NAME).package) is None:
        pytest.skip("the package with SmolLM2 is not in the cache")
    return zoo.load(pretrained.fetch(NAME))


def test_it_knows_the_capital_of_france(model):
    assert model.generate("The capital of France is", max_new_tokens=2).endswith(" is Paris.")


def test_it_answers_through_its_template(model):
    assert model.special_tokens.stop == (model.tokenizer.token_to_id("<|im_end|>"),) == (2,)
    assert model.chat(QUESTION, max_new_tokens=16) == "The capital of France is Paris."
    assert "".join(model.stream_chat(QUESTION, 16)) == "The capital of France is Paris."
