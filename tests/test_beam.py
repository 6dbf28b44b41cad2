"""Beam search: held to exhaustive search, to a plain one in NumPy, and to its own scores."""

import itertools

import numpy as np
import pytest
from keras import ops

from tests.models import tiny_gpt, tiny_lstm, tiny_transformer
from zoo.generation import Beam, Request, readers

START, END, SIZE = 1, 0, 6
SOURCES = [[2, 3, 5, 0], [5, 0], [4, 4, 2, 5, 3, 2, 0]]
LENGTH = 6
TEXTS = ["The sea", "It was late, as", "x"]


@pytest.fixture(scope="module")
def model():
    """A vocabulary so small that every target can be tried."""
    special = {"special_tokens": {"start": START, "stop": END}}
    return tiny_transformer(
        with_tokenizer=False, vocab_size=SIZE, scale=0.5, max_length=16, task=special
    )


@pytest.fixture(scope="module")
def text_model():
    return tiny_transformer(max_length=16)


class Targets:
    """`log p` of targets of one source, by the whole model and without a cache."""

    def __init__(self, model, source):
        self.model = model
        self.sources = np.tile(source, (2 * SIZE, 1)).astype("int32")
        self.known = {}

    def next_log_p(self, prefixes):
        """float64 `(len(prefixes), SIZE)`."""
        new = [prefix for prefix in map(tuple, prefixes) if prefix not in self.known]
        for i in range(0, len(new), len(self.sources)):
            chunk = new[i : i + len(self.sources)]
            rows = np.zeros((len(self.sources), LENGTH), "int32")  # one shape for all
            rows[:, 0] = START
            for row, prefix in zip(rows, chunk, strict=False):
                row[1 : len(prefix) + 1] = prefix
            x = {"token_ids": self.sources, "decoder_token_ids": rows}
            logits = ops.convert_to_numpy(self.model(x)).astype("float64")
            logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
            self.known |= {prefix: logits[j, len(prefix)] for j, prefix in enumerate(chunk)}
        return np.array([self.known[tuple(prefix)] for prefix in prefixes])

    def log_p(self, target):
        steps = self.next_log_p([target[:i] for i in range(len(target))])
        return sum(step[token] for step, token in zip(steps, target, strict=True))


@pytest.fixture(scope="module")
def all_targets(model):
    return [Targets(model, source) for source in SOURCES]


def score(log_p, length, length_penalty):
    return log_p / ((5 + length) / 6) ** length_penalty


def plain_search(targets, width, length_penalty, num_return, max_new_tokens):
    """The search written out, without a rule to stop it early."""
    live, finished = [((), 0.0)], []
    for _ in range(max_new_tokens):
        if not live:
            break
        following = targets.next_log_p([prefix for prefix, _ in live])
        candidates = [
            ((*prefix, token), log_p + following[i, token])
            for i, (prefix, log_p) in enumerate(live)
            for token in range(SIZE)
        ]
        candidates.sort(key=lambda candidate: -candidate[1])
        chosen = candidates[: width - len(finished)]
        finished += [c for c in chosen if c[0][-1] == END]
        live = [c for c in chosen if c[0][-1] != END]
    found = [(list(t), score(p, len(t), length_penalty)) for t, p in finished + live]
    return sorted(found, key=lambda pair: -pair[1])[:num_return]


def search(model, sources, max_new_tokens, sampler, num_return):
    request = Request(max_new_tokens, sampler, num_return=num_return)
    decoding = model.decoder.start(sources, request, request.seeds(len(sources)))
    decoding.advance(max_new_tokens)
    steps.append(decoding.count)
    return sampler.hypotheses(decoding, request)


steps = []  # how many each search took


def assert_same(found, expected):
    assert [ids for ids, _ in found] == [ids for ids, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], rtol=1e-4)


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("length_penalty", [0, 0.6, 3])
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_of_all_short_targets(
    model, all_targets, length_penalty
):
    found = search(model, SOURCES, 2, Beam(SIZE, length_penalty), SIZE - 1)
    everything = [[END]] + [
        list(ids) for ids in itertools.product(range(SIZE), repeat=2) if ids[0] != END
    ]
    for targets, hypotheses in zip(all_targets, found, strict=True):
        scored = [(t, score(targets.log_p(t), len(t), length_penalty)) for t in everything]
        scored.sort(key=lambda pair: -pair[1])
        assert_same(hypotheses, scored[: SIZE - 1])


@pytest.mark.parametrize(("width", "num_return"), [(3, 1), (3, 3), (SIZE, 2)])
@pytest.mark.parametrize("length_penalty", [0, 0.6, 3])
def test_equals_a_plain_search_that_never_stops_early(
    model, all_targets, width, length_penalty, num_return
):
    found = search(model, SOURCES, LENGTH, Beam(width, length_penalty), num_return)
    for targets, hypotheses in zip(all_targets, found, strict=True):
        expected = plain_search(targets, width, length_penalty, num_return, LENGTH)
        assert_same(hypotheses, expected)


def test_stops_as_soon_as_nothing_can_change(model):
    for num_return in (1, 3):
        search(model, SOURCES, LENGTH, Beam(3, 0), num_return)
    assert steps[-2] < steps[-1] <= LENGTH


def test_a_larger_penalty_never_shortens(model):
    lengths = [
        [len(ids) for ((ids, _),) in search(model, SOURCES, LENGTH, Beam(3, penalty), 1)]
        for penalty in (0, 0.6, 3, 20)
    ]
    assert (np.diff(lengths, axis=0) >= 0).all()
    assert lengths[0] != lengths[-1]


def test_scores_are_those_of_teacher_forcing(model, all_targets):
    found = search(model, SOURCES, LENGTH, Beam(3, 0.9), 3)
    for targets, hypotheses in zip(all_targets, found, strict=True):
        scores = [seen for _, seen in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(ids) for ids, _ in hypotheses}) == 3
        for ids, seen in hypotheses:
            assert END not in ids[:-1]
            assert len(ids) == LENGTH or ids[-1] == END
            assert seen == pytest.approx(score(targets.log_p(ids), len(ids), 0.9), rel=1e-4)


@pytest.mark.slow_to_compile
def test_a_width_of_one_is_greedy(text_model):
    greedy = text_model.generate(TEXTS, max_new_tokens=12)
    assert text_model.generate(TEXTS, max_new_tokens=12, sampler=Beam(1)) == greedy


@pytest.mark.slow_to_compile
def test_a_batch_gives_what_its_sources_give_alone(text_model):
    arguments = {"max_new_tokens": 12, "sampler": Beam(3), "num_return": 2}
    together = text_model.generate(TEXTS, **arguments)
    assert [len(several) for several in together] == [2, 2, 2]
    assert together == [text_model.generate(text, **arguments) for text in TEXTS]


@pytest.fixture(scope="module")
def causal_model():
    return tiny_gpt(num_layers=1, max_length=32)


def test_continuations_of_prompts_are_searched_too(causal_model):
    """Held to the whole model, from prompts of different lengths."""
    prompts, width = [[5, 6, 7], [8]], 3
    found = search(causal_model, prompts, 5, Beam(width, 0.6), width)
    for prompt, hypotheses in zip(prompts, found, strict=True):
        for ids, seen in hypotheses:
            row = np.zeros((1, 8), "int32")
            row[0, : len(prompt) + len(ids)] = prompt + ids
            logits = ops.convert_to_numpy(causal_model(row))[0].astype("float64")
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            log_p = sum(log_p[len(prompt) - 1 + i, token] for i, token in enumerate(ids))
            assert seen == pytest.approx(score(log_p, len(ids), 0.6), rel=1e-4)
        assert len({tuple(ids) for ids, _ in hypotheses}) == width
    arguments = {"max_new_tokens": 5, "sampler": Beam(width), "num_return": width}
    texts = causal_model.generate(prompts, strip_prompt=True, **arguments)
    assert texts == [[[t for t in ids if t] for ids, _ in several] for several in found]


@pytest.mark.slow_to_compile
def test_a_cache_that_grows_changes_nothing(model, causal_model, monkeypatch):
    def both():
        yield search(model, SOURCES, LENGTH, Beam(3), 3)
        yield search(causal_model, [[5, 6, 7], [8]], 20, Beam(3), 3)

    found = []
    for size in (2, 64):
        monkeypatch.setattr(readers, "BEAM_BUCKETS", size)
        found.append(list(both()))
    for grown, whole in zip(*found, strict=True):
        for hypotheses, expected in zip(grown, whole, strict=True):
            assert_same(hypotheses, expected)


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("make", [tiny_gpt, tiny_lstm])
def test_a_batch_continues_as_its_prompts_do_alone(make):
    model = make(num_layers=1, max_length=64)
    arguments = {"max_new_tokens": 20, "sampler": Beam(3), "num_return": 2}
    alone = [model.generate(text, **arguments) for text in TEXTS]
    assert model.generate(TEXTS, **arguments) == alone


@pytest.mark.slow_to_compile
def test_a_width_of_one_continues_greedily(causal_model):
    greedy = causal_model.generate(TEXTS, max_new_tokens=5)
    assert causal_model.generate(TEXTS, max_new_tokens=5, sampler=Beam(1)) == greedy


def test_other_numbers_need_no_other_compilation(model, monkeypatch):
    search(model, SOURCES, LENGTH, Beam(3), 1)
    monkeypatch.setattr(type(model.backbone), "decode", None)  # nothing may trace it again
    search(model, SOURCES, 2, Beam(3, 0.1), 3)


def test_bad_input_is_one_clear_sentence(text_model, causal_model):
    for width in (0, -1, 1.5, True, "5"):
        with pytest.raises(ValueError, match=f"width must be a whole number of .*; got {width!r}"):
            Beam(width)
    with pytest.raises(ValueError, match="length_penalty must be at least 0; got -1"):
        Beam(2, -1)
    with pytest.raises(ValueError, match="width must be at most the size of the vocabulary, 300"):
        text_model.generate("The sea", sampler=Beam(301))
    with pytest.raises(ValueError, match=r"use generate, or another sampler than Beam\(2, length"):
        causal_model.stream("The sea", 4, sampler=Beam(2))
    with pytest.raises(ValueError, match="num_return must be at most the beam's width, 2; got 3"):
        text_model.generate("The sea", sampler=Beam(2), num_return=3)
