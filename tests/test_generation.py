"""Generation: cached = uncached, batch = one by one, and every knob does what it says."""

import collections

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import TEXTS, VOCAB_SIZE, random_ids, tiny_gpt, tokenizer
from zoo.backends.buckets import bucket
from zoo.generation import Greedy, MinP, Sampler, Temperature, TopK, TopP, choose_tokens
from zoo.generation.noise import uniform_noise
from zoo.generation.stopping import StopBuffer

SAMPLERS = {
    "greedy": "greedy",
    "temperature": Temperature(1.3),
    "filters": Sampler(1.2, top_k=50, top_p=0.95, min_p=0.01, repetition_penalty=1.3),
}
PROMPTS = [[1, 2, 3], [4] * 20, [7]]


@pytest.fixture(scope="module")
def model():
    return tiny_gpt()


def greedy_without_cache(model, prompt, count):
    ids = np.zeros((1, max(map(len, PROMPTS)) + count), "int32")  # one shape to compile
    ids[0, : len(prompt)] = prompt
    for end in range(len(prompt), len(prompt) + count):
        ids[0, end] = ops.convert_to_numpy(model(ids))[0, end - 1].argmax()
    return ids[0, : len(prompt) + count].tolist()


def test_cached_logits_equal_uncached(model):
    ids = random_ids(2, 12)
    whole = ops.convert_to_numpy(model(ids))
    backbone = model.backbone
    hidden, cache = backbone.call_with_cache(ids[:, :5], backbone.make_cache(2, 16), 0)
    steps = [ops.convert_to_numpy(backbone.logits(hidden))]
    for i in range(5, 12):
        start = ops.full((2,), i, dtype="int32")
        hidden, cache = backbone.call_with_cache(ids[:, i : i + 1], cache, start)
        steps.append(ops.convert_to_numpy(backbone.logits(hidden)))
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, atol=1e-5)


def test_greedy_ids_are_the_argmax_of_the_whole_model():
    model = tiny_gpt(with_tokenizer=False)  # nothing ends a row early
    expected = [greedy_without_cache(model, p, 12) for p in PROMPTS]
    assert model.generate(PROMPTS, max_new_tokens=12) == expected


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_batch_gives_what_its_prompts_give_alone(model, sampler):
    arguments = {"max_new_tokens": 10, "sampler": sampler}
    together = model.generate(PROMPTS, seed=[5, 6, 7], **arguments)
    alone = [model.generate(p, seed=5 + i, **arguments) for i, p in enumerate(PROMPTS)]
    assert together == alone
    assert model.generate(PROMPTS, seed=5, **arguments)[0] == alone[0]


def test_the_same_seed_gives_the_same_text_and_others_differ(model):
    texts = [
        model.generate("The sea", max_new_tokens=16, sampler="sample", seed=s) for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    fresh = {model.generate([5], max_new_tokens=16, sampler="sample")[-1] for _ in range(9)}
    assert len(fresh) > 1


@pytest.mark.slow_to_compile
def test_num_return_gives_different_continuations_the_first_being_the_only_one(model):
    arguments = {"max_new_tokens": 8, "sampler": Temperature(1.5), "seed": 3}
    several = model.generate(["The sea", "It"], num_return=3, **arguments)
    assert [len(texts) for texts in several] == [3, 3]
    assert len(set(several[0])) == 3
    assert [texts[0] for texts in several] == model.generate(["The sea", "It"], **arguments)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_stream_pieces_add_up_to_generate(model, sampler):
    arguments = {"max_new_tokens": 24, "sampler": sampler, "seed": 11}
    whole = model.generate(TEXTS[2], strip_prompt=True, truncate=True, **arguments)
    pieces = list(model.stream(TEXTS[2], truncate=True, **arguments))
    assert "".join(pieces) == whole
    ids = model.generate([9, 8], strip_prompt=True, **arguments)
    assert list(model.stream([9, 8], **arguments)) == ids


def test_text_ends_before_the_first_stop_string(model):
    arguments = {"max_new_tokens": 40, "sampler": Temperature(1.0), "seed": 2}
    whole = model.generate("The", strip_prompt=True, **arguments)
    for stop in (whole[5:7], [whole[9:12], "never there", whole[4:6]]):
        strings = [stop] if isinstance(stop, str) else stop
        end = min(whole.find(s) for s in strings if s in whole)
        assert model.generate("The", stop=stop, strip_prompt=True, **arguments) == whole[:end]
        assert "".join(model.stream("The", stop=stop, **arguments)) == whole[:end]
    assert model.generate("The", stop="never there", strip_prompt=True, **arguments) == whole


def test_the_end_token_ends_a_text(model):
    sampler, ended = Temperature(2.0), 0
    for seed in range(40):
        ids = model.generate([3], max_new_tokens=40, sampler=sampler, seed=seed, strip_prompt=True)
        assert tokenizer().end_id not in ids
        ended += len(ids) < 40
    assert ended > 0


def test_prompts_of_the_usual_kinds(model):
    assert model.generate("The sea", max_new_tokens=3).startswith("The sea")
    assert model.generate("", max_new_tokens=3) == model.generate(
        "", max_new_tokens=3, strip_prompt=True
    )
    assert model.generate([], max_new_tokens=3) == []
    assert isinstance(model.generate(["a", ""], max_new_tokens=3), list)
    ids = random_ids(2, 5)
    assert model.generate(ids, max_new_tokens=3) == model.generate(ids.tolist(), max_new_tokens=3)


def test_a_long_prompt_keeps_its_end_when_it_may_be_cut(model):
    prompt = random_ids(1, 100)[0].tolist()
    cut = model.generate(prompt, max_new_tokens=4, truncate=True, strip_prompt=True)
    assert cut == model.generate(prompt[-60:], max_new_tokens=4, strip_prompt=True)
    full = model.generate(prompt[:60], max_new_tokens=4)  # to the very end of the context
    assert len(full) <= 64


def test_prompts_of_one_bucket_compile_once():
    model = tiny_gpt(with_tokenizer=False)
    calls = []
    call_with_cache = model.backbone.call_with_cache

    def counted(token_ids, cache, start):
        calls.append(tuple(token_ids.shape))
        return call_with_cache(token_ids, cache, start)

    object.__setattr__(model.backbone, "call_with_cache", counted)
    for length in (3, 9, 16):
        for sampler in (TopP(0.5), TopP(0.9, temperature=0.3), TopK(3)):
            model.generate([1] * length, max_new_tokens=5, sampler=sampler, seed=0)
    if keras.backend.backend() != "torch":  # which traces nothing
        assert collections.Counter(calls) == {(1, 16): 1, (1, 1): 1}


def test_a_callback_sees_the_weights_of_its_step():
    model = tiny_gpt(with_tokenizer=False, scale=0.1)
    texts, weights = [], []

    class Sample(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            texts.append(self.model.generate([1, 2], max_new_tokens=4))
            weights.append(self.model.get_weights())

    model.compile(optimizer=keras.optimizers.AdamW(1e-1))
    model.fit(random_ids(6, 9), batch_size=2, verbose=0, callbacks=[Sample()])
    assert texts[-1] == model.generate([1, 2], max_new_tokens=4)
    for text, values in zip(texts, weights, strict=True):
        model.set_weights(values)
        assert text == model.generate([1, 2], max_new_tokens=4)


def chosen(sampler, logits, draws=2000):
    """How often each token is chosen, as fractions."""
    logits = np.tile(np.asarray(logits, "float32"), (draws, 1))
    uniform = (np.arange(draws, dtype="float32") + 0.5) / draws
    tokens, _ = choose_tokens(
        ops.convert_to_tensor(logits),
        ops.convert_to_tensor(uniform),
        ops.convert_to_tensor(sampler.numbers),
        sampler.kind,
    )
    return np.bincount(ops.convert_to_numpy(tokens), minlength=logits.shape[1]) / draws


LOGITS = np.log([0.1, 0.4, 0.05, 0.3, 0.15])


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (Greedy(), [0, 1, 0, 0, 0]),
        (Sampler(temperature=0, top_p=0.5), [0, 1, 0, 0, 0]),
        (Temperature(1.0), [0.1, 0.4, 0.05, 0.3, 0.15]),
        (Temperature(0.5), np.square([0.1, 0.4, 0.05, 0.3, 0.15]) / 0.285),
        (TopK(2), [0, 4 / 7, 0, 3 / 7, 0]),
        (TopK(99), [0.1, 0.4, 0.05, 0.3, 0.15]),
        (TopP(0.65), [0, 4 / 7, 0, 3 / 7, 0]),
        (TopP(0.71), [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        (TopP(1e-6), [0, 1, 0, 0, 0]),
        (MinP(0.5), [0, 4 / 7, 0, 3 / 7, 0]),
        (MinP(1.0), [0, 1, 0, 0, 0]),
        (Sampler(top_k=4, top_p=0.9, min_p=0.3), [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
    ],
    ids=repr,
)
def test_samplers_choose_in_proportion(sampler, expected):
    np.testing.assert_allclose(chosen(sampler, LOGITS), expected, atol=2e-3)


@pytest.mark.slow_to_compile
def test_a_strong_penalty_never_repeats():
    model = tiny_gpt(with_tokenizer=False)
    ids = model.generate([1, 2, 3], max_new_tokens=40, sampler=Greedy(repetition_penalty=1e6))
    assert len(set(ids)) == len(ids)


def test_noise_is_even_and_independent():
    noise = uniform_noise(np.arange(200), np.zeros(200), np.zeros(200), 500)
    assert noise.min() >= 0
    assert noise.max() < 1
    counts = np.histogram(noise, bins=20, range=(0, 1))[0]
    np.testing.assert_allclose(counts / noise.size, 0.05, rtol=0.05)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.01
    assert len(np.unique(uniform_noise([7] * 50, [0] * 50, np.arange(50), 1))) == 50
    seeds, prompts = (x.ravel() for x in np.meshgrid(np.arange(60), np.arange(60)))
    assert len(np.unique(uniform_noise(seeds, prompts, seeds * 0, 2), axis=0)) == 3600


def test_noise_does_not_change_between_versions():
    np.testing.assert_allclose(
        uniform_noise([0, 1, -1], [0, 0, 0], [0, 0, 2], 2), GOLDEN_NOISE, rtol=0, atol=1e-7
    )


GOLDEN_NOISE = [[0.68138885, 0.0165602], [0.56483835, 0.71616459], [0.9717887, 0.30893606]]


def test_a_stop_buffer_holds_back_what_may_become_a_stop():
    buffer = StopBuffer(["END", "\n\n"])
    assert [buffer.add(p) for p in ("one E", "N", "o\n", "x\n", "\ny")] == [
        "one ", "", "ENo", "\nx", "",
    ]  # fmt: skip
    assert buffer.stopped
    buffer = StopBuffer(["END"])
    assert buffer.add("tail EN") + buffer.flush() == "tail EN"
    assert not buffer.stopped


def test_buckets_double_up_to_the_context():
    assert [bucket(n, 16, 100) for n in (1, 16, 17, 33, 65, 100)] == [16, 16, 32, 64, 100, 100]


def test_bad_input_is_one_clear_sentence(model):
    sized = r"60 tokens and max_new_tokens=5 must fit into the context of 64"
    with pytest.raises(ValueError, match=sized):
        model.generate([1] * 60, max_new_tokens=5)
    with pytest.raises(ValueError, match="must fit into the context of 64"):
        model.stream([1], max_new_tokens=64)
    with pytest.raises(
        ValueError, match="max_new_tokens must be a whole number of at least 1; got 0"
    ):
        model.generate("a", max_new_tokens=0)
    with pytest.raises(ValueError, match=r"top_p must be above 0 and at most 1.*; got 0"):
        TopP(p=0)
    with pytest.raises(ValueError, match=r"temperature must be at least 0.*; got -1"):
        Temperature(-1)
    with pytest.raises(ValueError, match=r"top_k must be a whole number of at least 1.*; got 0"):
        TopK(0)
    with pytest.raises(ValueError, match=r"min_p must be between 0 and 1.*; got 2"):
        MinP(2)
    with pytest.raises(ValueError, match=r"repetition_penalty must be above 0.*; got 0"):
        Greedy(repetition_penalty=0)
    with pytest.raises(
        ValueError, match=r"sampler must be 'greedy', .*'contrastive' or a .*; got 'random'"
    ):
        model.generate("a", sampler="random")
    with pytest.raises(ValueError, match=f"from 0 to {VOCAB_SIZE - 1}, .* got 300"):
        model.generate([300])
    with pytest.raises(ValueError, match="at least one whole number"):
        model.generate([[1], []])
    with pytest.raises(TypeError, match=r"A prompt must be a string.*got int"):
        model.generate(3)
    with pytest.raises(TypeError, match=r"A prompt must be a string.*got list"):
        model.generate(["a", 3])
    with pytest.raises(ValueError, match="one for each prompt; got 2 seeds for 1 prompts"):
        model.generate("a", max_new_tokens=5, seed=[1, 2])
    with pytest.raises(ValueError, match="stop must be a non-empty string"):
        model.generate("a", stop=[""])
    with pytest.raises(ValueError, match="stop takes strings, so the prompt must be text"):
        model.generate([1], stop="x")
    with pytest.raises(ValueError, match="num_return must be a whole number of at least 1; got 0"):
        model.generate("a", num_return=0)
    with pytest.raises(ValueError, match="one prompt at a time; got 2"):
        model.stream(["a", "b"])
    with pytest.raises(ValueError, match="has no tokenizer, so it takes token ids"):
        tiny_gpt(with_tokenizer=False).generate("a")
