"""generation_config.json: what a folder asks of `generate` is what it does, here and there."""

import json

import numpy as np
import pytest

import zoo
from benchmarks.parity.cases import NAMED_CASES
from benchmarks.parity.check import make_theirs
from tests.models import tiny_gpt
from zoo.generation import Beam, Sampler

pytestmark = pytest.mark.slow_to_compile

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SOURCES = [np.random.default_rng(i).integers(6, 131, 5 + i).tolist() for i in range(4)]
CONFIG = "generation_config.json"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("theirs")
            model = make_theirs(NAMED_CASES[name])
            model.save_pretrained(folder)
            made[name] = model, folder, json.loads((folder / CONFIG).read_text())
        return made[name]

    return make


GPT2, BART = "GPT2LMHeadModel", "BartForConditionalGeneration"
EVERY = {"eos_token_id": None}  # texts of full length


def ask(folders, name, asked):
    """Theirs, with what is asked in its generation_config.json, and its folder."""
    theirs, folder, usual = folders(name)
    contents = {**usual, **asked}
    contents = {key: value for key, value in contents.items() if value is not None}
    (folder / CONFIG).write_text(json.dumps(contents))
    theirs.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    return theirs, folder


def write(theirs, ids):
    row = torch.tensor([ids])
    written = theirs.generate(row, attention_mask=torch.ones_like(row))
    return written[0].tolist()


CAUSAL = {
    "length": {"max_new_tokens": 7},
    "whole length": {"max_length": 12},
    "penalty": {"max_new_tokens": 9, "repetition_penalty": 1.7},
    "n-grams": {"max_new_tokens": 12, "no_repeat_ngram_size": 2},
    "suppressed": {"max_new_tokens": 9, "suppress_tokens": list(range(6, 90))},
    "bad words": {"max_new_tokens": 9, "bad_words_ids": [[i, j] for i in (7, 99) for j in (7, 99)]},
}


ONCE = ("penalty", "n-grams", "bad words", "new tokens", "a longer beam")


def cases(table):
    """Those of which others are enough on backends that compile get a mark."""
    slow = [pytest.mark.slow_to_compile]
    return [pytest.param(case, marks=slow if case in ONCE else []) for case in table]


@pytest.mark.parametrize("case", cases(CAUSAL))
def test_a_text_is_continued_as_asked(folders, case):
    theirs, folder = ask(folders, GPT2, {**CAUSAL[case], **EVERY, "pad_token_id": 0})
    ours = zoo.load(folder, special_tokens=zoo.tokenizers.SpecialTokens())
    expected = [write(theirs, ids) for ids in SOURCES]
    found = [ours.generate(ids, verbose=0) for ids in SOURCES]
    assert found == expected
    changed = ours.generate(SOURCES[0], 3, repetition_penalty=None, bad_words=None, verbose=0)
    assert len(changed) == len(SOURCES[0]) + 3  # a call goes before


SEQ2SEQ = {
    "lengths": {"max_length": 11, "min_length": 9},
    "new tokens": {"max_new_tokens": 8, "min_new_tokens": 8},
    "the end is forced": {"max_length": 9, "forced_eos_token_id": 2},
    "n-grams": {"max_length": 12, "no_repeat_ngram_size": 2, "repetition_penalty": 1.2},
    "a beam": {"max_length": 9, "num_beams": 3, "length_penalty": 2.0, "forced_eos_token_id": 2},
    "a longer beam": {"max_length": 14, "num_beams": 4, "min_length": 5},
}


@pytest.mark.parametrize("case", cases(SEQ2SEQ))
def test_a_target_is_written_as_asked(folders, case):
    theirs, folder = ask(folders, BART, {**SEQ2SEQ[case], "forced_bos_token_id": 0})
    ours = zoo.load(folder)
    for ids in SOURCES:
        expected = write(theirs, ours.pair_format.source_row(ids))[2:]  # from its two starts on
        expected = expected[: expected.index(2)] if 2 in expected else expected
        assert ours.generate(ids, verbose=0) == expected


DRAWN = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "max_new_tokens": 33}


def test_a_sampler_is_the_usual_one_and_goes_back(folders, tmp_path):
    _, folder = ask(folders, GPT2, {**DRAWN, "min_p": 0.0, "repetition_penalty": 1.1})
    model = zoo.load(folder)
    assert vars(model.sampler) == vars(Sampler(temperature=0.6, top_p=0.9, top_k=20))
    assert model.usual_request == {"repetition_penalty": 1.1, "max_new_tokens": 33}
    assert len(model.generate([7, 8], seed=0, verbose=0)) <= 2 + 27  # what the context leaves
    for format in ("transformers", "zoo"):
        zoo.save(model, tmp_path / format, format=format)
        back = zoo.load(tmp_path / format)
        assert vars(back.sampler) == vars(model.sampler)
        assert back.usual_request == model.usual_request
    assert type(model).from_config(model.get_config()).usual_request == model.usual_request
    loaded = zoo.load(folder, "text_classification", weights="backbone", labels=["a", "b"])
    assert not hasattr(loaded, "usual_request")


def test_all_of_a_request_goes_out_and_comes_back(folders, tmp_path):
    asked = {
        "num_beams": 4,
        "length_penalty": 2.0,
        "max_length": 14,
        "min_length": 5,
        "no_repeat_ngram_size": 3,
        "forced_eos_token_id": 2,
        "repetition_penalty": 1.5,
        "suppress_tokens": [9, 11],
        "bad_words_ids": [[7, 8]],
        "forced_bos_token_id": 0,
    }
    _, folder = ask(folders, BART, asked)
    model = zoo.load(folder)
    expected = Beam(4, length_penalty=2.0, length_offset=1)
    assert vars(model.sampler) == vars(expected)
    zoo.save(model, tmp_path / "saved", format="transformers")
    contents = json.loads((tmp_path / "saved" / CONFIG).read_text())
    assert {key: contents.get(key) for key in asked} == asked
    back = zoo.load(tmp_path / "saved")
    assert vars(back.sampler) == vars(expected)
    assert back.usual_request == model.usual_request


def test_what_cannot_be_followed_is_named_once(folders):
    asked = {"early_stopping": True, "num_beams": 2, "guidance_scale": 1.5, "length_penalty": -1.0}
    _, folder = ask(folders, BART, {**asked, "num_return_sequences": 1})
    with pytest.warns(UserWarning, match="texts may differ from those that") as caught:
        zoo.load(folder)
    (warning,) = [str(one.message) for one in caught]
    assert "early_stopping, guidance_scale, length_penalty cannot be followed" in warning


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"do_sample": "yes"}, "do_sample must be true or false; got 'yes'"),
        ({"num_beams": 2.5}, "num_beams must be a whole number"),
        ({"do_sample": True, "temperature": "hot"}, "temperature must be"),
        ({"do_sample": True, "top_p": 7}, "top_p must be .* got 7"),
        ({"repetition_penalty": -1}, "repetition_penalty must be above 0"),
        ({"max_new_tokens": True}, "max_new_tokens must be a whole number"),
        ({"suppress_tokens": "all"}, "bad_words must be lists of token ids"),
        ({"bad_words_ids": [[1, "a"]]}, "bad_words must be lists of token ids"),
        ({"num_beams": 4, "num_beam_groups": 3}, "groups must divide the beam's width"),
    ],
)
@pytest.mark.backend_free
def test_a_request_that_lies_is_refused(folders, asked, message):
    _, folder, usual = folders(BART)
    (folder / CONFIG).write_text(json.dumps({**usual, **asked}))
    with pytest.raises(ValueError, match=rf"generation_config\.json asks for .*{message}"):
        zoo.load(folder)


def test_a_request_is_checked_where_it_is_given():
    model = tiny_gpt()
    model.compile(request={"max_new_tokens": 3, "min_new_tokens": 3})
    model.special_tokens = zoo.tokenizers.SpecialTokens()
    assert len(model.generate([5], verbose=0)) == 1 + 3
    with pytest.raises(ValueError, match=r"A usual request may have max_new_tokens.*got 'top_k'"):
        model.compile(request={"top_k": 3})
    with pytest.raises(ValueError, match="force_end ends a text with a stop token"):
        tiny_gpt(with_tokenizer=False).generate([3], force_end=True, verbose=0)
    model.compile(request={})
    assert model.usual_request == {}
