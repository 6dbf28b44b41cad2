"""Constraints: a text is one of several, matches a regular expression, or avoids words."""

import random
import re

import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_gpt, tiny_transformer, tokenizer
from zoo.generation import Beam, Sampler, automata

CHOICES = ["yes", "no", "yes, sir", "café 🙂"]
PATTERN = r"[A-C]{2,4}(-\d+)?"


@pytest.fixture(scope="module")
def model():
    return tiny_gpt()


def spell(table, accepts, text):
    """Whether an automaton over bytes accepts a text."""
    state = 0
    for byte in text.encode():
        if state != automata.DEAD:
            state = table[state, byte]
    return state != automata.DEAD and bool(accepts[state])


@pytest.mark.backend_free
def test_automata_over_bytes_are_what_python_says_of_texts():
    rng = random.Random(0)
    for _ in range(60):
        words = ["".join(rng.choices("abé", k=rng.randint(1, 4))) for _ in range(rng.randint(1, 4))]
        encoded = [word.encode() for word in words]
        trie, search = automata.trie(encoded), automata.searcher(encoded)
        for _ in range(60):
            text = "".join(rng.choices("abé", k=rng.randint(0, 7)))
            assert spell(*trie, text) == (text in words)
            assert spell(*search, text) == (not any(word in text for word in words))


@pytest.mark.backend_free
def test_tokens_lead_where_their_bytes_lead():
    words = tokenizer()
    table, accepts = automata.trie([text.encode() for text in CHOICES])
    automaton = automata.over_tokens(table, accepts, automata.bytes_of_tokens(words), CHOICES)
    for text in [*CHOICES, "ye", "yes,"]:
        state = 0
        for token in words.encode(text):
            state = automaton.following[state, token]
        assert state != automata.DEAD
        assert automaton.accepts[state] == (text in CHOICES)
    assert automaton.following[0, words.encode("x")[0]] == automata.DEAD
    assert automaton.following[0, words.end_id] == automata.DEAD


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("sampler", [Sampler(2.0), Beam(3)], ids=["draw", "beam"])
@pytest.mark.parametrize("make", [tiny_gpt, tiny_transformer])
def test_what_is_written_is_as_asked_in_every_decoding(make, sampler):
    model = make()
    extra = {"sampler": sampler, "max_new_tokens": 24, "seed": 3}
    extra |= {} if make is tiny_transformer else {"strip_prompt": True}
    texts = model.generate(["The sea", "x", "It was"], choices=CHOICES, **extra)
    assert set(texts) <= set(CHOICES)
    for text in model.generate(["The sea", "x"], regex=PATTERN, min_new_tokens=3, **extra):
        assert re.fullmatch(PATTERN, text)


def test_words_are_avoided_in_whatever_tokens(model):
    arguments = {"max_new_tokens": 40, "temperature": 1.2, "seed": 2, "strip_prompt": True}
    whole = model.generate("The", **arguments)
    words = [whole[2:4], whole[9:10]]
    assert not any(word in model.generate("The", bad_words=words, **arguments) for word in words)
    del arguments["strip_prompt"]
    streamed = "".join(model.stream("The", bad_words=words, **arguments))
    assert "The" + streamed == model.generate("The", bad_words=words, **arguments)


def test_greedy_chooses_the_likeliest_of_what_is_allowed(model):
    """Of the first tokens that start a choice."""
    one = model.generate([5, 6], 4, choices=["b", "q", "7"], strip_prompt=True)
    ids = [model.tokenizer.encode(text)[0] for text in ("b", "q", "7")]
    logits = ops.convert_to_numpy(model(np.array([[5, 6]])))[0, -1]
    assert one == [max(ids, key=lambda i: logits[i])]


def test_what_cannot_be_is_one_sentence(model):
    def refused(kind, message, **asked):
        with pytest.raises(kind, match=message):
            model.generate("The", max_new_tokens=4, **asked)

    refused(ValueError, "regex must be a regular expression without lookaround", regex="(a")
    refused(TypeError, "regex must be a regular expression as a string; got 5", regex=5)
    refused(TypeError, "choices must be a list of texts; got 'yes'", choices="yes")
    refused(ValueError, "bad_words must not be empty", bad_words=[""])
    refused(TypeError, "bad_words must be texts, or lists of token ids; got 5", bad_words=5)
    refused(TypeError, "take token ids, sequences of them, or texts", bad_words=[[]])
    refused(ValueError, "token ids from 0 to 299; got 300", logit_bias={300: 1.0})
    refused(TypeError, "logit_bias must be a dict", logit_bias=[1])
    refused(ValueError, "A logit bias must be below infinity", logit_bias={3: float("inf")})
    refused(ValueError, "no_repeat_ngram_size must be a whole number", no_repeat_ngram_size=0)
    refused(ValueError, "min_new_tokens must be a whole number", min_new_tokens=-1)
    refused(TypeError, "presence_penalty must be a number", presence_penalty="a")
    refused(ValueError, "frequency_penalty must be finite", frequency_penalty=float("nan"))
    refused(TypeError, "processors must be functions of", processors=[3])
    refused(ValueError, "return logits of the shape", processors=lambda ids, logits: logits[:, 1:])
    refused(ValueError, "typical_p must be above 0", typical_p=0)
    refused(ValueError, "eta_cutoff must be at least 0 and below 1", eta_cutoff=1)
    refused(TypeError, "does not take min_length: pass min_new_tokens", min_length=3)
    twice = {"sampler": zoo.generation.Greedy(1.3), "repetition_penalty": 1.2}
    refused(ValueError, "repetition_penalty must be said once", **twice)
    everything = dict.fromkeys(range(300), -np.inf)
    refused(ValueError, "No token can be chosen, since what is asked", logit_bias=everything)
    refused(ValueError, "allows only 2 of the 3 hypotheses", choices=["a", "b"], sampler=Beam(3),
            num_return=3)  # fmt: skip
    nothing = zoo.CausalLM(model.backbone, special_tokens={"stop": 0})
    with pytest.raises(ValueError, match="has no tokenizer"):
        nothing.generate([1], choices=["a"])
    endless = zoo.CausalLM(model.backbone, model.tokenizer)
    endless.special_tokens = zoo.tokenizers.SpecialTokens(stop=(), start=None)
    with pytest.raises(ValueError, match="ends with a stop token, but this model has none"):
        endless.generate("The", choices=["a"])


@pytest.mark.backend_free
def test_a_regex_that_no_token_can_match_is_one_sentence(word_piece):
    small = zoo.tokenizers.Tokenizer.from_json(tokenizer().to_json())
    with pytest.raises(ValueError, match="need a tokenizer whose tokens spell bytes"):
        automata.regex(word_piece, "a")
    spelled = [None, b"a", b"b"]
    table, accepts = automata.trie([b"ac"])
    with pytest.raises(ValueError, match="No tokens of this model's vocabulary spell"):
        automata.over_tokens(table, accepts, spelled, "ac")
    assert automata.regex(small, "a") is automata.regex(tokenizer(), "a")  # made once


@pytest.mark.slow_to_compile
def test_diverse_beams_differ(model):
    def search(*args, **arguments):
        beam = Beam(*args, **arguments)
        return model.generate([5, 6], 8, sampler=beam, num_return=beam.width, strip_prompt=True)

    assert len({ids[0] for ids in search(4)}) < 4
    diverse = search(4, groups=4, diversity=1e3)
    assert len({ids[0] for ids in diverse}) == 4
    assert search(1) in diverse  # the first group knows of no other
    assert sorted(search(4, groups=2, diversity=0)) == sorted(search(2) * 2)
    with pytest.raises(ValueError, match="groups must divide the beam's width, 4; got 3"):
        Beam(4, groups=3)
