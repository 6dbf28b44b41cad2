"""Processors: each held to transformers' on the same logits, and all of them in every decoding."""

import itertools

import numpy as np
import pytest
from keras import ops

from tests.models import random_ids, tiny_gpt, tiny_transformer
from tests.test_generation import chosen
from zoo.generation import Beam, Request, Sampler
from zoo.generation.drawing import kept_ranks
from zoo.generation.past import Processing
from zoo.generation.processors import (
    Custom,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    OccurrencePenalty,
    RepetitionPenalty,
    Vocabulary,
)

SIZE, STOP = 12, 3
VOCABULARY = Vocabulary(SIZE, (STOP,))
ROWS = [[1, 2, 1, 2, 1], [5, 5, 5, 3, 5, 5, 2], [4, 7]]
NUM_NEW = [3, 3, 0]


def processed(*processors, rows=ROWS, num_new=NUM_NEW):
    """Logits of rows as processors leave them; the last `num_new` ids of each are new."""
    logits = np.random.default_rng(0).normal(0, 2, (len(rows), SIZE)).astype("float32")
    room = 4
    prompts = [row[: len(row) - n] for row, n in zip(rows, num_new, strict=True)]
    longest = max(map(len, prompts))
    token_ids = np.array([row + [0] * (longest - len(row)) for row in prompts], "int32")
    lengths = np.array([len(row) for row in prompts], "int32")
    processing = Processing(tuple(processors))
    constants = {
        "processors": [
            {name: ops.convert_to_tensor(x) for name, x in p.constants(VOCABULARY).items()}
            for p in processors
        ]
    }
    results = []
    for i, new in enumerate(num_new):  # each alone, for they have new tokens in different numbers
        prompt = (ops.convert_to_tensor(x[i : i + 1]) for x in (token_ids, lengths))
        state = processing.begin(1, 1, room, tuple(prompt))
        for token in rows[i][len(rows[i]) - new :]:
            state = processing.advance(state, ops.full((1,), token, dtype="int32"), constants)
        row = processing.apply(ops.convert_to_tensor(logits[i : i + 1]), state, constants)
        results.append(ops.convert_to_numpy(row)[0])
    return logits, np.array(results)


def reference(make, logits):
    """What transformers' processor makes of the same; `make(number of the prompt's ids)`."""
    import torch

    results = []
    for row, new, numbers in zip(ROWS, NUM_NEW, logits, strict=True):
        ids, scores = torch.tensor([row]), torch.tensor(numbers[None])
        results.append(make(len(row) - new)(ids, scores).numpy()[0])
    return np.array(results)


SEQUENCES = {(2,): 1.5, (1, 2): -2.0, (2, 1, 5): 0.7, (5, 5, 9): 3.0, (7, 7, 7, 7, 7, 7): 9.0}
BANNED = [[4], [2, 11], [5, 2, 6], [1, 2, 1, 2, 1, 8], [1, 2, 2]]


def transformers_processors():
    from transformers.generation import logits_process as theirs

    bans = {tuple(ids): -np.inf for ids in BANNED}
    return [
        (LogitBias.of(SEQUENCES), lambda _: theirs.SequenceBiasLogitsProcessor(SEQUENCES)),
        (LogitBias.of(bans), lambda _: theirs.NoBadWordsLogitsProcessor(BANNED, STOP)),
        (RepetitionPenalty(1.7), lambda _: theirs.RepetitionPenaltyLogitsProcessor(1.7)),
        *(
            (NoRepeatNGram(n), lambda _, n=n: theirs.NoRepeatNGramLogitsProcessor(n))
            for n in (1, 2, 3, 4)
        ),
        (
            MinNewTokens(2),
            lambda start: theirs.MinNewTokensLengthLogitsProcessor(start, 2, STOP, device="cpu"),
        ),
    ]


def test_processors_are_those_of_transformers():
    for ours, theirs in transformers_processors():
        logits, seen = processed(ours)
        np.testing.assert_allclose(seen, reference(theirs, logits), rtol=1e-6, err_msg=repr(ours))
        assert (seen != logits).any(), ours


@pytest.mark.parametrize("name", ["typical_p", "eta_cutoff"])
@pytest.mark.parametrize("number", [0.02, 0.2, 0.6, 0.9])
def test_filters_are_those_of_transformers(name, number):
    import torch
    from transformers.generation import logits_process as theirs

    warpers = {"typical_p": theirs.TypicalLogitsWarper, "eta_cutoff": theirs.EtaLogitsWarper}
    logits = np.random.default_rng(1).normal(0, 2.5, (40, SIZE)).astype("float32")
    logits = np.sort(logits, axis=-1)[:, ::-1].copy()
    expected = warpers[name](number)(torch.tensor([[0]]), torch.tensor(logits)).numpy()
    sampler = Sampler(**{name: number})
    ranked = ops.softmax(ops.convert_to_tensor(logits), axis=-1)
    kept = kept_ranks(ranked, ops.convert_to_tensor(sampler.numbers), sampler.kind)
    np.testing.assert_array_equal(ops.convert_to_numpy(kept), np.isfinite(expected))


def test_filters_that_leave_nothing_in_common_keep_the_likeliest():
    logits = np.log([0.6, 0.1, 0.1, 0.1, 0.1])
    assert (chosen(Sampler(typical_p=0.1), logits) > 0).tolist() == [True] + [False] * 4
    logits = np.log([0.41, 0.39, 0.05, 0.05, 0.05, 0.05])
    typical = chosen(Sampler(typical_p=0.05), logits)
    assert typical[0] == 0
    assert chosen(Sampler(typical_p=0.05, top_k=1), logits)[0] == 1


def test_occurrences_are_counted_among_new_tokens():
    logits, seen = processed(OccurrencePenalty(0.5, 0.25))
    expected = logits.copy()
    for row, new, numbers in zip(ROWS, NUM_NEW, expected, strict=True):
        counts = np.bincount(row[len(row) - new :], minlength=SIZE)
        numbers -= 0.5 * (counts > 0) + 0.25 * counts
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_processors_combine_in_their_order_and_users_come_last():
    ids_seen = []

    def halve(ids, logits):
        ids_seen.append(ops.convert_to_numpy(ids).tolist())
        return logits / 2

    bias, penalty = LogitBias.of({2: 4.0}), RepetitionPenalty(2.0)
    logits, seen = processed(bias, penalty, Custom(halve))
    raised = logits.copy()
    raised[:, 2] += 4.0
    for row, numbers in zip(ROWS, raised, strict=True):
        for token in set(row):
            numbers[token] = numbers[token] / 2 if numbers[token] > 0 else numbers[token] * 2
    np.testing.assert_allclose(seen, raised / 2, rtol=1e-6)
    assert [[i for i in ids[0] if i >= 0] for ids in ids_seen] == ROWS
    sampler = Sampler(repetition_penalty=2.0)
    request = Request(4, sampler, processors=(Custom(halve), bias))
    assert request.processing.processors == (bias, penalty, Custom(halve))


@pytest.fixture(scope="module")
def causal():
    return tiny_gpt(with_tokenizer=False)


PROMPTS = [[1, 2, 3], [4] * 20, [7]]
ASKED = {
    "min_new_tokens": 3,
    "no_repeat_ngram_size": 2,
    "bad_words": [[250], [4, 5]],
    "logit_bias": {17: 2.5, (9, 8): -3.0},
    "presence_penalty": 0.3,
    "frequency_penalty": 0.2,
    "repetition_penalty": 1.2,
    "processors": lambda ids, logits: logits - 0.01 * ops.arange(logits.shape[-1], dtype="float32"),
}


def plain(model, prompt, count):
    """Greedy, without a cache, by transformers' processors."""
    import torch
    from transformers.generation import logits_process as theirs

    processors = [
        theirs.SequenceBiasLogitsProcessor({(17,): 2.5, (9, 8): -3.0}),
        theirs.RepetitionPenaltyLogitsProcessor(1.2),
        theirs.NoRepeatNGramLogitsProcessor(2),
        theirs.NoBadWordsLogitsProcessor([[250], [4, 5]], None),
    ]
    ids = list(prompt)
    for _ in range(count):
        row = np.zeros((1, 40), "int32")
        row[0, : len(ids)] = ids
        logits = ops.convert_to_numpy(model(row))[:, len(ids) - 1].copy()
        for i, processor in enumerate(processors):
            logits = processor(torch.tensor([ids]), torch.tensor(logits)).numpy()
            if i == 1:
                counts = np.bincount(ids[len(prompt) :], minlength=logits.shape[1])
                logits = logits - 0.3 * (counts > 0) - 0.2 * counts
        ids.append(int((logits - 0.01 * np.arange(logits.shape[1])).argmax()))
    return ids


@pytest.mark.slow_to_compile
def test_all_together_choose_what_transformers_processors_choose(causal):
    expected = [plain(causal, prompt, 12) for prompt in PROMPTS]
    assert causal.generate(PROMPTS, max_new_tokens=12, **ASKED) == expected
    streamed = list(causal.stream(PROMPTS[0], max_new_tokens=12, **ASKED))
    assert PROMPTS[0] + streamed == expected[0]


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("make", [tiny_gpt, tiny_transformer])
@pytest.mark.parametrize("sampler", [Sampler(1.5), Beam(3)], ids=["draw", "beam"])
def test_bans_hold_in_every_decoding(make, sampler):
    model = make()
    asked = {"no_repeat_ngram_size": 2, "bad_words": [[6]], "min_new_tokens": 4, "seed": 1}
    asked |= {"logit_bias": {0: 4.0}, "frequency_penalty": 0.5}
    extra = {} if make is tiny_transformer else {"strip_prompt": True}
    for ids in model.generate(random_ids(3, 6), 20, sampler=sampler, **asked, **extra):
        pairs = list(itertools.pairwise(ids))
        assert len(set(pairs)) == len(pairs)
        assert 6 not in ids
        assert len(ids) >= 4


@pytest.mark.slow_to_compile
def test_a_beam_processes_log_probabilities():
    """The best of all targets of two tokens, by the processed sums."""
    special = {"special_tokens": {"start": 1, "stop": 0}}
    model = tiny_transformer(with_tokenizer=False, vocab_size=6, task=special)
    source, bias = [2, 3, 5], {2: 1.0, (2, 4): 2.0, 0: -np.inf}
    beam = Beam(6, length_penalty=0)
    processors = (LogitBias.of(bias),)
    request = Request(2, beam, num_return=6, processors=processors, return_scores=True)
    decoding = model.decoder.start([[*source, 0]], request, request.seeds(1))
    decoding.advance(2)
    ((*found,),) = beam.scored_results(decoding, request, [0])
    found = [scores for _, scores in found]

    def log_p(prefix):
        x = {"token_ids": np.array([[*source, 0]]), "decoder_token_ids": np.array([[1, *prefix]])}
        logits = ops.convert_to_numpy(model(x))[0, -1].astype("float64")
        return logits - np.log(np.exp(logits).sum())

    def score(a, b):
        first, second = log_p([])[a], log_p([a])[b]
        return first + second + (a == 2) + (b == 2) + 2.0 * (a == 2 and b == 4)

    every = sorted(((score(a, b), [a, b]) for a in range(1, 6) for b in range(1, 6)), reverse=True)
    assert [one.token_ids for one in found] == [ids for _, ids in every[:6]]
    np.testing.assert_allclose([one.score for one in found], [s for s, _ in every[:6]], rtol=1e-4)
    np.testing.assert_allclose(
        [sum(one.scores) for one in found], [s for s, _ in every[:6]], rtol=1e-4
    )
    own = [log_p([])[a] + log_p([a])[b] for _, (a, b) in every[:6]]
    np.testing.assert_allclose([sum(one.log_probs) for one in found], own, rtol=1e-4)


def test_scores_are_those_of_the_whole_model(causal):
    arguments = {"temperature": 0.7, "top_k": 20, "seed": 5, "logit_bias": {9: 1.0}}
    found = causal.generate(PROMPTS, max_new_tokens=6, return_scores=True, **arguments)
    assert [one.output for one in found] == causal.generate(PROMPTS, max_new_tokens=6, **arguments)
    for prompt, one in zip(PROMPTS, found, strict=True):
        assert one.output == prompt + [t for t in one.token_ids if t != 0]
        row = np.zeros((1, 40), "int32")
        ids = prompt + one.token_ids
        row[0, : len(ids)] = ids
        logits = ops.convert_to_numpy(causal(row))[0, len(prompt) - 1 : len(ids) - 1]
        for step, token, log_p, score in zip(logits, *one[1:4], strict=True):
            step = step.astype("float64")
            assert log_p == pytest.approx(step[token] - np.log(np.exp(step).sum()), abs=1e-4)
            step[9] += 1.0
            step = np.exp(step / 0.7)
            kept = np.sort(step)[-20:].sum()
            assert score == pytest.approx(np.log(step[token] / kept), abs=1e-4)
        assert one.score == pytest.approx(sum(one.log_probs))


def test_scores_end_where_a_stop_string_cuts():
    model = tiny_gpt()
    arguments = {"max_new_tokens": 30, "temperature": 1.0, "seed": 2, "strip_prompt": True}
    whole = model.generate("The", **arguments)
    one = model.generate("The", stop=whole[5:7], return_scores=True, **arguments)
    assert one.output == whole[: whole.find(whole[5:7])]
    assert len(one.token_ids) == len(one.log_probs) == len(one.scores) < 30
    assert model.tokenizer.decode(one.token_ids).startswith(one.output)
    assert one.output not in model.tokenizer.decode(one.token_ids[:-1])
