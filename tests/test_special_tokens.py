"""Special tokens by role: found by their usual names, checked, written and read again."""

import json
import types

import numpy as np
import pytest

from zoo.tokenizers import BytePairTokenizer, SpecialTokens
from zoo.tokenizers.special_tokens import NAMES

pytestmark = pytest.mark.backend_free

SEVERAL = SpecialTokens(start=0, stop=(2, 5), separator=3, mask=0, decoder_start=2)


def having(*names):
    """A tokenizer with special tokens of these names, ids in their order."""
    return types.SimpleNamespace(special_ids={name: i for i, name in enumerate(names)})


def test_those_of_a_byte_level_tokenizer(bpe):
    tokens = SpecialTokens.of(bpe)
    assert tokens == SpecialTokens(start=0, stop=0)
    assert (tokens.end, tokens.between, tokens.before_target) == (0, 0, 0)
    assert (bpe.start_id, bpe.end_id, bpe.pad_id) == (0, 0, 0)


def test_those_of_a_word_piece_tokenizer(word_piece):
    tokens = SpecialTokens.of(word_piece)
    assert tokens == SpecialTokens(padding=0, unknown=1, start=2, stop=(3,), mask=4)
    assert (tokens.end, tokens.between, tokens.before_target) == (3, 3, 2)


def test_a_tokenizer_without_special_tokens_has_none():
    bare = BytePairTokenizer.train(["some text"], 300, special_tokens=())
    assert SpecialTokens.of(bare) == SpecialTokens.of(None) == SpecialTokens()
    assert (bare.start_id, bare.end_id, bare.pad_id, bare.mask_id) == (None,) * 4
    tokens = SpecialTokens()
    assert (tokens.end, tokens.between, tokens.before_target) == (None,) * 3


@pytest.mark.parametrize(("role", "names"), NAMES.items())
def test_every_usual_name_is_found_and_the_first_of_several_wins(role, names):
    def found(*special):
        tokens = SpecialTokens.of(having(*special))
        return tokens.end if role == "end" else getattr(tokens, role)

    for name in names:
        assert found("<other>", name) == 1
    assert found(*reversed(names)) == len(names) - 1


@pytest.mark.parametrize("stop", [7, [7], (7,), np.int64(7), np.array([7])])
def test_one_stop_or_several(stop):
    assert SpecialTokens(stop=stop) == SpecialTokens(stop=(7,))
    assert SpecialTokens(stop=None).stop == SpecialTokens(stop=[]).stop == ()


def test_the_first_of_several_stops_ends_a_text():
    assert SEVERAL.end == 2
    assert SEVERAL.between == 3
    assert SEVERAL.before_target == 2
    assert SpecialTokens(start=4, stop=(9, 8)).before_target == 4
    assert SpecialTokens(stop=(9, 8)).before_target == 9


def test_an_id_of_0_is_an_id():
    tokens = SpecialTokens(start=0, stop=0, separator=0, padding=0, decoder_start=0)
    assert tokens.get_config() == {
        **dict.fromkeys(("start", "separator", "padding", "decoder_start"), 0),
        "stop": [0],
    }
    roles = ("start", "end", "separator", "between", "decoder_start", "before_target")
    assert [tokens.require(role, "It") for role in roles] == [0] * 6
    # An id of 0 goes before the one that would stand in for it.
    assert SpecialTokens(stop=5, separator=0).between == 0
    assert SpecialTokens(start=5, decoder_start=0).before_target == 0


@pytest.mark.parametrize("tokens", [SpecialTokens(), SEVERAL, SpecialTokens(stop=0, unknown=1)])
def test_the_config_gives_them_back(tokens):
    assert SpecialTokens(**json.loads(json.dumps(tokens.get_config()))) == tokens


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"start": "<s>"}, TypeError, "The start token must be an id, an int; got '<s>'."),
        ({"mask": 1.0}, TypeError, "The mask token must be an id, an int; got 1.0."),
        ({"padding": True}, TypeError, "The padding token must be an id, an int; got True."),
        ({"stop": (1, None)}, TypeError, "The stop token must be an id, an int; got None."),
        (
            {"stop": "</s>"},
            TypeError,
            "The stop token must be an id, an int; got '</s>'.",
        ),
        ({"start": -1}, ValueError, "The start token must be an id of at least 0; got -1."),
        ({"stop": [3, -2]}, ValueError, "The stop token must be an id of at least 0; got -2."),
    ],
)
def test_what_is_no_id_is_refused(arguments, error, message):
    with pytest.raises(error) as caught:
        SpecialTokens(**arguments)
    assert str(caught.value) == message


def test_ids_outside_the_vocabulary_are_refused():
    SEVERAL.check(6)
    with pytest.raises(ValueError, match=r"The stop token must be from 0 to 4, .* got 5\."):
        SEVERAL.check(5)
    with pytest.raises(ValueError, match=r"The mask token must be from 0 to 99, .* got 100\."):
        SpecialTokens(mask=100).check(100)


@pytest.mark.parametrize(
    ("role", "field"),
    [
        *(("start", "start"), ("mask", "mask"), ("end", "stop"), ("between", "separator")),
        ("before_target", "decoder_start"),
    ],
)
def test_what_is_required_and_missing_is_named_by_its_field(role, field):
    with pytest.raises(ValueError, match="token") as caught:
        SpecialTokens().require(role, "Filling blanks")
    assert str(caught.value) == (
        f"Filling blanks needs a {field} token, and the tokenizer has none by a usual name. "
        f"Say which id it is: special_tokens=SpecialTokens({field}=...)."
    )
