"""Speculation: the same text as without, in fewer readings of the model."""

import pytest

import zoo
from tests.models import TEXTS, tiny_gpt, tiny_lstm, tiny_transformer
from zoo.generation import Beam, Request, get_sampler
from zoo.generation.speculation import GUESSES, look_up

REPEATING = [5, 6, 7, 8, 9] * 4
ASKED = {
    "greedy": {},
    "drawn": {"temperature": 1.0, "top_k": 20, "seed": 4},
    "processed": {"no_repeat_ngram_size": 4, "min_new_tokens": 9},
}


@pytest.fixture(scope="module")
def model():
    return tiny_gpt()


@pytest.fixture(scope="module")
def draft():
    """Nearly the model: its guesses are often right."""
    draft = tiny_gpt()
    for weight in draft.weights:
        weight.assign(weight * 1.01 + 0.005)
    return draft


@pytest.mark.backend_free
def test_what_followed_the_longest_run_is_looked_up():
    assert look_up([1, 2, 3, 9, 1, 2, 3], None) == [9, 1, 2, 3]
    assert look_up([3, 7, 2, 3, 8, 4, 2, 3], None) == [8, 4, 2, 3]  # two tokens before one
    assert look_up([1, 5, 1, 6, 1], None) == [6, 1]  # the last place of several
    assert look_up([1, 2, 3], None) == []
    assert look_up([1], None) == []
    assert len(look_up([1, 2, 3, 4, 5, 6, 7, 8, 9, 1], None)) == GUESSES


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "drawn"), ("prompt", "greedy"), ("prompt", "processed")]
)
@pytest.mark.slow_to_compile
def test_the_text_is_the_same(model, draft, kind, name):
    guesser, asked = "prompt" if kind == "prompt" else draft, ASKED[name]
    prompts = [REPEATING, [3, 4], [7]]
    seeds = {"seed": [4, 5, 6]} if "seed" in asked else {}
    arguments = {"max_new_tokens": 30, **asked, **seeds}
    expected = model.generate(prompts, **arguments)
    assert model.generate(prompts, draft=guesser, **arguments) == expected


@pytest.mark.slow_to_compile
def test_the_text_and_its_scores_are_the_same_to_the_end_of_the_context(model, draft):
    arguments = {"max_new_tokens": 44, "return_scores": True}
    plain = model.generate(REPEATING, **arguments)
    one = model.generate(REPEATING, draft=draft, **arguments)
    assert one.output == plain.output
    assert one.log_probs == pytest.approx(plain.log_probs, abs=1e-4)
    pieces = model.stream("The sea", max_new_tokens=20, draft="prompt")
    assert "The sea" + "".join(pieces) == model.generate("The sea", max_new_tokens=20)


@pytest.mark.slow_to_compile
def test_the_model_reads_less_often(model, draft):
    counts = {}
    for name, guesser in (("prompt", "prompt"), ("draft", draft), ("itself", model)):
        request = Request(40, get_sampler("greedy"), draft=guesser)
        decoding = model.decoder.start([REPEATING], request, request.seeds(1))
        decoding.advance(39)
        assert decoding.count == 40
        counts[name] = decoding.num_read
    assert counts["itself"] <= -(-39 // (GUESSES + 1)) + GUESSES  # one at a time at the very end
    assert counts["draft"] < 39
    assert counts["prompt"] <= 39


@pytest.mark.slow_to_compile
def test_stop_tokens_and_strings_end_it_at_the_same_place(model):
    arguments = {"max_new_tokens": 40, "temperature": 1.5, "seed": 3, "strip_prompt": True}
    whole = model.generate("The", **arguments)
    for stop in (None, whole[5:7]):
        expected = model.generate(TEXTS[0][:40], stop=stop, **arguments)
        assert model.generate(TEXTS[0][:40], stop=stop, draft="prompt", **arguments) == expected


def test_what_cannot_guess_is_one_sentence(model):
    def refused(kind, message, draft, task=model, **asked):
        with pytest.raises(kind, match=message):
            task.generate("The", max_new_tokens=4, draft=draft, **asked)

    refused(ValueError, "draft must be 'prompt' or a smaller zoo.CausalLM; got 'text'", "text")
    refused(TypeError, "draft must be 'prompt' or a smaller zoo.CausalLM; got 5", 5)
    refused(TypeError, "draft must be 'prompt' or a smaller", tiny_transformer())
    other = zoo.tokenizers.BytePairTokenizer.train(TEXTS, 280)
    other = zoo.CausalLM(zoo.models.GPT(280, 1, 2, 16, max_length=64), other)
    refused(ValueError, "A draft must have the vocabulary of the model .* 300 tokens", other)
    refused(ValueError, "draft speeds up one text at a time", "prompt", num_return=2)
    refused(ValueError, r"another sampler than a beam or .*; got num_return=1 and Beam", "prompt",
            sampler=Beam(2))  # fmt: skip
    refused(ValueError, "a recurrent state cannot", "prompt", task=tiny_lstm())
    refused(ValueError, "a recurrent state cannot", tiny_lstm())
    with pytest.raises(TypeError, match=r"does not know, 'draft'"):
        tiny_transformer().generate("The", draft="prompt")
    with pytest.raises(TypeError, match="does not take assistant_model: pass draft=model"):
        model.generate("The", assistant_model=model)
