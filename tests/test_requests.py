"""What may be asked of `generate`: by which names, with which seeds, until where; and what not."""

import random

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import TEXTS, tiny_gpt, tiny_lstm, tiny_transformer
from tests.test_generation import chosen
from zoo.generation import (
    Beam,
    Contrastive,
    Greedy,
    MinP,
    Sampler,
    Temperature,
    TopK,
    TopP,
    choose_tokens,
    get_sampler,
)
from zoo.generation.names import SAMPLERS
from zoo.generation.stopping import StopBuffer, cut_at_stop, is_cut


@pytest.fixture(scope="module")
def model():
    return tiny_gpt()


@pytest.mark.backend_free
def test_samplers_have_names():
    kinds = {"greedy": Greedy, "sample": Sampler, "top_k": TopK, "top_p": TopP, "min_p": MinP}
    assert {**kinds, "beam": Beam, "contrastive": Contrastive} == SAMPLERS
    for name, cls in SAMPLERS.items():
        assert type(get_sampler(name)) is cls
    again = get_sampler(dict(vars(TopP(0.8, temperature=0.5))))
    assert (again.top_p, again.temperature) == (0.8, 0.5)
    for sampler in (Beam(3, 1.0), Contrastive(0.4, 3)):
        assert repr(get_sampler(dict(vars(sampler)))) == repr(sampler)


def test_numbers_may_stand_for_a_sampler(model):
    arguments = {"max_new_tokens": 12, "seed": 4}
    expected = model.generate("The sea", sampler=Sampler(0.7, top_k=9, top_p=0.9), **arguments)
    numbers = {"temperature": 0.7, "top_k": 9, "top_p": 0.9}
    assert model.generate("The sea", **numbers, **arguments) == expected
    assert "The sea" + "".join(model.stream("The sea", **numbers, **arguments)) == expected
    numbers = {"sampler": "top_k", "temperature": 0.7, "top_k": 9, "top_p": 0.9}
    assert model.generate("The sea", **numbers, **arguments) == expected
    two = model.generate("The sea", temperature=1.0, num_return_sequences=2, **arguments)
    assert two == model.generate("The sea", sampler="sample", num_return=2, **arguments)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # it has no state
@pytest.mark.parametrize("make", [tiny_gpt, tiny_transformer])
@pytest.mark.slow_to_compile
def test_the_sampler_of_compile_is_the_usual_one_and_is_kept(make, tmp_path):
    model = make()
    greedy = model.generate("The sea", max_new_tokens=8)
    model.compile(sampler=TopP(0.9, temperature=1.5))
    drawn = model.generate("The sea", max_new_tokens=8, seed=3)
    assert drawn != greedy
    model.compile()  # says nothing of it
    model.save(tmp_path / "model.keras")
    for again in (
        keras.saving.load_model(tmp_path / "model.keras"),
        type(model).from_config(model.get_config()),
    ):
        again.set_weights(model.get_weights())
        assert again.generate("The sea", max_new_tokens=8, seed=3) == drawn
        assert again.generate("The sea", max_new_tokens=8, sampler="greedy") == greedy


def test_set_random_seed_governs_where_no_seed_is_given(model):
    texts = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        arguments = {"max_new_tokens": 12, "temperature": 1.0}
        texts.append([model.generate("The sea", **arguments) for _ in range(2)])
    assert texts[0] == texts[1] != texts[2]
    assert texts[0][0] != texts[0][1]
    state = random.getstate()
    model.generate("The sea", max_new_tokens=2, seed=1)
    assert random.getstate() == state


def test_prompts_of_a_batch_draw_on_their_own(model):
    arguments = {"max_new_tokens": 16, "sampler": Temperature(1.5), "strip_prompt": True}
    by_seed = [model.generate(["The"] * 4, seed=seed, **arguments) for seed in range(4)]
    assert len({text for texts in by_seed for text in texts}) == 16
    listed = model.generate(["The"] * 2, seed=[7, 7], **arguments)
    assert listed[0] == listed[1] == model.generate("The", seed=7, **arguments)


@pytest.mark.slow_to_compile
def test_many_prompts_go_through_in_chunks(model):
    prompts = [TEXTS[1][: 1 + i % 9] for i in range(11)]
    arguments = {"max_new_tokens": 5, "sampler": Temperature(1.0), "seed": 1, "num_return": 2}
    whole = model.generate(prompts, **arguments)
    assert model.generate(prompts, batch_size=4, **arguments) == whole


def test_a_bar_shows_on_request(model, capsys):
    arguments = {"max_new_tokens": 2, "batch_size": 2}
    model.generate(["a", "b", "c"], verbose=0, **arguments)
    assert capsys.readouterr().out == ""
    model.generate(["a", "b", "c"], verbose=1, **arguments)
    assert "3/3" in capsys.readouterr().out


OVERLAPPING = [
    (["to", " going to do"], "he is going to do it"),
    (["ab", "xxabc"], "12xxab"),
    (["ab", "xxabc"], "12xxabc"),
    (["bb", "abbc", "zabb"], "zzabbc"),
    (["aa"], "baaa"),
    (["END", "E"], "an END"),
]


@pytest.mark.backend_free
@pytest.mark.parametrize(("stop", "text"), OVERLAPPING)
def test_the_stop_that_starts_first_counts_however_a_text_comes(stop, text):
    starts = [text.find(s) for s in stop if s in text]
    expected = text[: min(starts)]
    assert cut_at_stop(text, stop) == expected
    for size in range(1, len(text) + 1):
        buffer, pieces = StopBuffer(stop), []
        for i in range(0, len(text), size):
            pieces.append(buffer.add(text[i : i + size]))
            assert text.startswith("".join(pieces))
            if buffer.stopped:
                break
        assert "".join(pieces) + buffer.flush() == expected
    # What is said to be over does not change, whatever comes.
    for end in range(len(text) + 1):
        if is_cut(text[:end], stop):
            assert cut_at_stop(text[:end], stop) == expected


def test_stream_is_generate_with_stops_that_overlap(model):
    arguments = {"max_new_tokens": 40, "sampler": Temperature(1.0), "seed": 2}
    whole = model.generate("The", strip_prompt=True, **arguments)
    for stop in ([whole[9:11], whole[6:14]], [whole[5:7], whole[3:6] + "never"], None, []):
        cut = model.generate("The", stop=stop, strip_prompt=True, **arguments)
        assert cut == cut_at_stop(whole, stop or ())
        assert "".join(model.stream("The", stop=stop, **arguments)) == cut
        batch = model.generate(["The", "x"], stop=stop, seed=[2, 2], strip_prompt=True,
                               **{k: v for k, v in arguments.items() if k != "seed"})  # fmt: skip
        assert batch[0] == cut


def test_top_p_keeps_no_token_too_many_where_the_sum_reaches_p():
    logits = np.log([0.3, 0.1, 0.1, 0.5])
    np.testing.assert_allclose(chosen(TopP(0.8), logits), [0.375, 0, 0, 0.625], atol=2e-3)
    np.testing.assert_allclose(chosen(TopP(1.0), logits), [0.3, 0.1, 0.1, 0.5], atol=2e-3)
    tail = np.log(np.r_[1 - 2e-7, np.full(2, 1e-7)])
    uniform = ops.convert_to_tensor(np.array([0.99999997], "float32"))
    one, sampler = ops.convert_to_tensor(tail[None].astype("float32")), TopP(1.0)
    token, _ = choose_tokens(one, uniform, ops.convert_to_tensor(sampler.numbers), sampler.kind)
    assert int(token[0]) > 0  # p of 1 keeps everything


@pytest.mark.parametrize("make", [tiny_gpt, tiny_lstm, tiny_transformer])
@pytest.mark.parametrize("sampler", ["greedy", "sample", "beam"])
@pytest.mark.slow_to_compile
def test_logits_that_are_no_numbers_are_an_error(make, sampler):
    model = make()
    weight = model.backbone.token_embedding.embeddings
    weight.assign(weight * float("nan"))
    with pytest.raises(ValueError, match=r"logits are not numbers \(NaN\)"):
        model.generate("The sea", max_new_tokens=3, sampler=sampler)
    if sampler == "greedy" and make is not tiny_transformer:
        with pytest.raises(ValueError, match=r"logits are not numbers \(NaN\)"):
            list(model.stream("The sea", max_new_tokens=3))


@pytest.mark.slow_to_compile
def test_no_token_is_chosen_that_the_tokenizer_cannot_spell():
    backbone = zoo.models.GPT(1000, 1, 2, 16, max_length=64, dropout=0.0)
    model = zoo.CausalLM(backbone, tiny_gpt().tokenizer)
    table = np.zeros((1000, 16), "float32")
    table[300:] = 1.0
    table[:300] = -1.0
    model.backbone.token_embedding.embeddings.assign(table)
    for sampler in ("greedy", Temperature(3.0), Sampler(1.0, repetition_penalty=1.2), Beam(3)):
        assert isinstance(model.generate("The", max_new_tokens=9, sampler=sampler, seed=1), str)
    with pytest.raises(ValueError, match="at most the size of the vocabulary, 300; got 301"):
        model.generate("The", max_new_tokens=9, sampler=Beam(301))


def test_a_tokenizer_without_an_end_token_runs_to_the_last_token():
    tokens = {"stop": (), "start": None}
    model = tiny_gpt()
    nothing = zoo.CausalLM(model.backbone, model.tokenizer)
    nothing.special_tokens = zoo.tokenizers.SpecialTokens(**tokens)
    ids = nothing.generate([3], max_new_tokens=9, strip_prompt=True)
    assert len(ids) == 9
    assert isinstance(nothing.generate("The", max_new_tokens=9), str)
    with pytest.raises(ValueError, match="Continuing an empty prompt needs a stop token"):
        nothing.generate("", max_new_tokens=2)
    with pytest.raises(ValueError, match="Scoring a text from its first token on needs a stop"):
        nothing.score(["The"])


def test_any_of_several_stop_tokens_ends_a_text():
    model = tiny_gpt(with_tokenizer=False)
    whole = model.generate([3], max_new_tokens=20, temperature=1.0, seed=1, strip_prompt=True)
    model = tiny_gpt(with_tokenizer=False)
    model.special_tokens = zoo.tokenizers.SpecialTokens(stop=(whole[9], whole[6]))
    cut = model.generate([3], max_new_tokens=20, temperature=1.0, seed=1, strip_prompt=True)
    assert cut == whole[: min(whole.index(whole[9]), whole.index(whole[6]))]


@pytest.mark.slow_to_compile
def test_windows_predict_each_token_once_in_the_whole_context(model):
    text = (TEXTS[0] + TEXTS[1])[:150]
    ids = [0, *model.tokenizer.encode(text)]
    most, stride = 64, 40
    expected = 0.0
    for place in range(1, len(ids)):
        end = most if place <= most else most + -(-(place - most) // stride) * stride
        end = min(end, len(ids) - 1)
        first = max(0, end - most)
        logits = ops.convert_to_numpy(model(np.array([ids[first:end]], "int32")))[0]
        row = logits[place - 1 - first].astype("float64")
        expected += np.log(np.exp(row - row.max()).sum()) + row.max() - row[ids[place]]
    nats, num_tokens = model.score([text, "x"], stride=stride)
    assert num_tokens[0] == len(ids) - 1 > most
    assert nats[0] == pytest.approx(expected, rel=1e-4)
    assert nats[1] == pytest.approx(model.score(["x"])[0][0], rel=1e-5)
    with pytest.raises(ValueError, match=r"must fit into the context of 64 tokens; got one of \d+"):
        model.score([text])
    with pytest.raises(ValueError, match="stride must be at most the context of 64 tokens; got 65"):
        model.score([text], stride=65)


def test_a_recurrent_model_scores_texts_of_any_length():
    model = tiny_lstm(max_length=8)
    text = TEXTS[1]
    ids = [0, *model.tokenizer.encode(text)]
    logits = ops.convert_to_numpy(model(np.array([ids[:-1]], "int32")))[0].astype("float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -log_p[np.arange(len(ids) - 1), ids[1:]].sum()
    assert model.score([text])[0][0] == pytest.approx(expected, rel=1e-4)


WRONG = [
    ({"num_return": 2.0}, ValueError, "num_return must be a whole number of at least 1; got 2.0"),
    ({"num_return": None}, ValueError, "num_return must be a whole number"),
    ({"max_new_tokens": "5"}, ValueError, "max_new_tokens must be a whole number"),
    ({"max_new_tokens": True}, ValueError, "max_new_tokens must be a whole number"),
    ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1; got 0"),
    ({"seed": 1.5}, ValueError, r"seed must be a whole number from -2\*\*31 to .*; got 1.5"),
    ({"seed": 2**70}, ValueError, "seed must be a whole number"),
    ({"seed": 2**32}, ValueError, "seed must be a whole number"),
    ({"seed": "x"}, ValueError, "seed must be a whole number .*; got 'x'"),
    ({"seed": [1.5]}, ValueError, "seed must be a whole number .*; got 1.5"),
    ({"seed": True}, ValueError, "seed must be a whole number"),
    ({"seed": [1, 2]}, ValueError, "one for each prompt; got 2 seeds for 1 prompts"),
    ({"stop": 5}, ValueError, "stop must be a non-empty string or several of them; got 5"),
    ({"stop": [5]}, ValueError, "stop must be a non-empty string"),
    ({"stop": ""}, ValueError, "stop must be a non-empty string"),
    ({"min_new_tokens": 99}, ValueError, "min_new_tokens must be at most max_new_tokens; got 99"),
    (
        {"sampler": "random"},
        ValueError,
        "sampler must be 'greedy', 'sample', .*'beam', 'contrastive' or a",
    ),
    ({"sampler": 5}, ValueError, "sampler must be 'greedy'.*; got 5"),
    ({"temperature": None}, TypeError, "temperature must be a number, at least 0"),
    ({"temperature": "hot"}, TypeError, "temperature must be a number"),
    ({"temperature": float("nan")}, ValueError, "temperature must be at least 0"),
    ({"top_p": 2}, ValueError, "top_p must be above 0 and at most 1"),
    ({"top_k": 1.5}, ValueError, "top_k must be a whole number of at least 1"),
    ({"sampler": TopK(3), "top_k": 4}, ValueError, "top_k must be said once"),
    ({"sampler": "beam", "temperature": 1.0}, ValueError, "temperature must be said once"),
    (
        {"max_length": 20},
        TypeError,
        "does not take max_length: pass max_new_tokens, which",
    ),
    ({"do_sample": True}, TypeError, 'does not take do_sample: pass sampler="sample"'),
    ({"num_beams": 4}, TypeError, r"does not take num_beams: pass sampler=zoo.generation.Beam"),
    ({"colour": 4}, TypeError, "got an argument that it does not know, 'colour'"),
]


@pytest.mark.parametrize("make", [tiny_gpt, tiny_transformer])
def test_wrong_arguments_are_one_sentence(make):
    model = make()
    for arguments, kind, message in WRONG:
        with pytest.raises(kind, match=message):
            model.generate("The", **{"max_new_tokens": 5, **arguments})


@pytest.mark.backend_free
def test_wrong_numbers_of_samplers_are_one_sentence():
    for make, kind, message in (
        (lambda: TopP("a"), TypeError, "top_p must be a number, above 0 .*; got 'a'"),
        (lambda: Sampler(temperature=None), TypeError, "temperature must be a number.*; got None"),
        (
            lambda: Sampler(repetition_penalty=float("nan")),
            ValueError,
            "repetition_penalty must be",
        ),
        (lambda: MinP(True), TypeError, "min_p must be a number"),
        (lambda: TopK("5"), ValueError, "top_k must be a whole number.*; got '5'"),
        (lambda: Beam(3, "a"), TypeError, "length_penalty must be a number"),
        (lambda: Beam(3, float("inf")), ValueError, "length_penalty must be at least 0"),
    ):
        with pytest.raises(kind, match=message):
            make()


def test_export_is_named_where_keras_has_it(model):
    with pytest.raises(NotImplementedError, match=r"zoo.export\(model, path\)"):
        model.export("served")
