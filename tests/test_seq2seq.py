"""Sequence to sequence: numbers that are what they say, on text, arrays and datasets.

KERAS_BACKEND=jax python -m tests.test_seq2seq     # writes the golden file anew
"""

import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from zoo.training import schedules

import zoo
from tests.models import VOCAB_SIZE, random_ids, tiny_transformer, tokenizer, with_weights
from zoo.data.pairs import PairBuckets, PairExamples
from zoo.generation import Beam, Sampler, Temperature
from zoo.optimizers import InverseSquareRoot

GOLDEN = Path(__file__).parent / "data" / "golden_seq2seq.json"
PAIRS = [
    ("The sea was calm.", "La mer"),
    ("Come in, said he", "Entrez, dit-il; il est tard."),
    ("x = 2", "x"),
    ("Nobody spoke for long", "Personne ne parla"),
]
SOURCES = ["The sea", "It was late, as", "x"]
END = 0  # of the tokenizer of tests.models, and its start token


@pytest.fixture(scope="module")
def model():
    return tiny_transformer(max_length=32)


def rows_of(pairs):
    """Each pair's `(source, inputs, labels)` as lists of ids."""
    for source, target in pairs:
        ids = tokenizer().encode(target)
        yield [*tokenizer().encode(source), END], [END, *ids], [*ids, END]


def logits_of(model, source, inputs):
    x = {"token_ids": np.zeros((1, 32), "int32"), "decoder_token_ids": np.zeros((1, 32), "int32")}
    x["token_ids"][0, : len(source)] = source
    x["decoder_token_ids"][0, : len(inputs)] = inputs
    x["padding_mask"] = np.arange(32)[None] < len(source)
    return ops.convert_to_numpy(model(x))[0, : len(inputs)].astype("float64")


def log_p_of(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def by_hand(model, pairs):
    """For each pair the log-probabilities of all tokens, and the labels."""
    return [
        (log_p_of(logits_of(model, source, inputs)), labels)
        for source, inputs, labels in rows_of(pairs)
    ]


def nats_by_hand(model, pairs):
    return [
        -np.take_along_axis(log_p, np.array(labels)[:, None], 1)[:, 0]
        for log_p, labels in by_hand(model, pairs)
    ]


@pytest.mark.slow_to_compile
def test_evaluate_reports_nats_per_real_token(model):
    nats = nats_by_hand(model, PAIRS)
    hits = [log_p.argmax(-1) == labels for log_p, labels in by_hand(model, PAIRS)]
    logs = model.evaluate(PAIRS, batch_size=2, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)
    assert logs["perplexity"] == pytest.approx(np.exp(logs["loss"]), rel=1e-4)
    assert logs["accuracy"] == pytest.approx(np.concatenate(hits).mean(), abs=1e-6)
    sources, targets = zip(*PAIRS, strict=True)
    arguments = {"batch_size": 2, "return_dict": True, "verbose": 0}
    again = model.evaluate(list(sources), list(targets), **arguments)
    assert again == pytest.approx(logs, rel=1e-5)
    weighted = model.evaluate(PAIRS, sample_weight=[1, 0, 0, 2], **arguments)
    expected = (nats[0].sum() + 2 * nats[3].sum()) / (len(nats[0]) + 2 * len(nats[3]))
    assert weighted["loss"] == pytest.approx(expected, rel=1e-5)


def test_score_is_the_sum_over_a_target_and_its_end(model):
    nats, num_tokens = model.score(*zip(*PAIRS, strict=True))
    expected = nats_by_hand(model, PAIRS)
    assert num_tokens.tolist() == [len(one) for one in expected]
    np.testing.assert_allclose(nats, [one.sum() for one in expected], rtol=1e-5)
    assert [x.shape for x in model.score([], [])] == [(0,), (0,)]


@pytest.mark.slow_to_compile
def test_label_smoothing_is_that_of_numpy_with_logits_and_without():
    """A metric that needs logits takes another way to the same loss and the same step."""
    weights = []
    for metrics in (None, ["sparse_categorical_accuracy"]):
        model = tiny_transformer(max_length=32, scale=0.2, task={"label_smoothing": 0.2})
        total, nats = [], []
        for log_p, labels in by_hand(model, PAIRS):
            wanted = 0.8 * np.eye(VOCAB_SIZE)[labels] + 0.2 / VOCAB_SIZE
            total.append(-(wanted * log_p).sum(-1))
            nats.append(-(np.eye(VOCAB_SIZE)[labels] * log_p).sum(-1))
        model.compile(optimizer=keras.optimizers.SGD(0.1), metrics=metrics)
        before = model.get_weights()
        history = model.fit(PAIRS, verbose=0).history
        assert history["loss"][0] == pytest.approx(np.concatenate(total).mean(), rel=1e-4)
        expected = np.exp(np.concatenate(nats).mean())
        assert history["perplexity"][0] == pytest.approx(expected, rel=1e-3)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    moved = [np.abs(a - b).max() for a, b in zip(before, weights[0], strict=True)]
    assert max(moved) > 1e-2


def arrays():
    rows = list(rows_of([PAIRS[0], PAIRS[0]]))
    source, inputs, labels = (np.array(column) for column in zip(*rows, strict=True))
    return {"token_ids": source, "decoder_token_ids": inputs}, labels


class Dataset(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return arrays()


@pytest.fixture(scope="module")
def learner():
    model = tiny_transformer(scale=0.1, max_length=32)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    return model


SLOW = pytest.mark.slow_to_compile
LIKE_OTHERS = [pytest.param(kind, marks=SLOW) for kind in ("lists", "arrays")]


@pytest.mark.parametrize("kind", ["pairs", "dataset", *LIKE_OTHERS])
def test_fit_takes_text_arrays_and_datasets_and_learns(learner, kind):
    data = {
        "pairs": lambda: ([PAIRS[0]] * 2,),
        "lists": lambda: tuple([text] * 2 for text in PAIRS[0]),
        "arrays": arrays,
        "dataset": lambda: (Dataset(),),
    }[kind]()
    history = learner.fit(*data, epochs=4, verbose=0).history
    assert history.keys() == {"loss", "perplexity", "accuracy"}
    assert history["perplexity"][-1] < history["perplexity"][0]


@pytest.mark.slow_to_compile
def test_validation_data_of_every_kind():
    model = tiny_transformer(max_length=32)
    train, held_out = PAIRS[:2], PAIRS[2:]
    expected = np.exp(np.concatenate(nats_by_hand(model, held_out)).mean())
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    kinds = [
        (train, {"validation_data": held_out}),
        (train, {"validation_data": (held_out,)}),
        (train, {"validation_data": tuple(zip(*held_out, strict=True))}),
        (PAIRS, {"validation_split": 0.5}),
    ]
    for data, arguments in kinds:
        history = model.fit(data, verbose=0, **arguments).history
        assert history["val_perplexity"][0] == pytest.approx(expected, rel=1e-4)


def test_the_usual_optimizer_is_that_of_the_paper(model):
    rate = model.optimizer._learning_rate
    for step in (1, 2, 100, 4000, 4001, 20_000):
        expected = 16**-0.5 * min(step**-0.5, step * 4000**-1.5)
        assert float(rate(step - 1)) == pytest.approx(expected, rel=1e-5)
    assert model.optimizer.beta_2 == pytest.approx(0.98)
    assert model.optimizer.epsilon == 1e-9
    again = InverseSquareRoot.from_config(InverseSquareRoot(0.1, 7).get_config())
    assert float(again(6)) == pytest.approx(0.1)
    assert schedules.InverseSquareRoot is InverseSquareRoot
    with pytest.raises(ValueError, match="warmup_steps must be at least 1; got 0"):
        InverseSquareRoot(0.1, 0)


@pytest.mark.slow_to_compile
def test_a_copy_task_is_learned_and_given_back():
    words = ["".join(w) for n in (2, 3, 4) for w in itertools.permutations("abcdef", n)]
    order = np.random.default_rng(0).permutation(len(words))
    train, test = ([words[i] for i in part] for part in (order[16:], order[:16]))
    backbone = zoo.models.Transformer(
        VOCAB_SIZE, 1, 2, 32, mlp_dim=32, max_length=8, position="learned", dropout=0.0
    )
    model = with_weights(zoo.Seq2SeqLM(backbone, tokenizer()), 0.2)
    model.compile(optimizer=keras.optimizers.Adam(InverseSquareRoot(1e-2, 50), beta_2=0.98))
    model.fit(train, train, epochs=16, verbose=0)
    copies = model.generate(test)
    assert sum(copy == word for copy, word in zip(copies, test, strict=True)) >= 12, copies


SAMPLERS = {
    "greedy": "greedy",
    "filters": Sampler(1.2, top_k=50, top_p=0.95, min_p=0.01, repetition_penalty=1.3),
}


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_batch_gives_what_its_sources_give_alone(model, sampler):
    arguments = {"max_new_tokens": 10, "sampler": sampler}
    together = model.generate(SOURCES, seed=[5, 6, 7], **arguments)
    alone = [model.generate(s, seed=5 + i, **arguments) for i, s in enumerate(SOURCES)]
    assert together == alone
    if sampler == "greedy":
        assert model.generate(SOURCES, batch_size=2, **arguments) == alone


def test_greedy_ids_are_the_argmax_of_the_whole_model(model):
    source = tokenizer().encode(SOURCES[0])
    expected = []
    for _ in range(6):
        expected.append(int(logits_of(model, [*source, END], [END, *expected])[-1].argmax()))
    expected = expected[: expected.index(END)] if END in expected else expected
    assert model.generate(source, max_new_tokens=6) == expected
    assert model.generate([source], max_new_tokens=6) == [expected]
    assert model.generate(SOURCES[0], max_new_tokens=6) == tokenizer().decode(expected)


@pytest.mark.slow_to_compile
def test_draws_are_decided_by_the_seed(model):
    arguments = {"max_new_tokens": 12, "sampler": Temperature(1.5), "num_return": 3}
    several = model.generate(SOURCES, seed=3, **arguments)
    assert [len(texts) for texts in several] == [3, 3, 3]
    assert len(set(several[0])) == 3
    assert several == model.generate(SOURCES, seed=3, **arguments)
    assert several != model.generate(SOURCES, seed=4, **arguments)


def test_text_ends_before_a_stop_string(model):
    arguments = {"max_new_tokens": 12, "sampler": Temperature(1.0), "seed": 2, "num_return": 3}
    whole = model.generate(SOURCES, **arguments)
    stop = whole[0][0][3:5]
    cut = [[t[: t.find(stop)] if stop in t else t for t in several] for several in whole]
    assert cut != whole
    assert model.generate(SOURCES, stop=stop, **arguments) == cut


@pytest.mark.slow_to_compile
def test_the_target_of_an_empty_source_is_empty(model):
    full, *empty = model.generate(["a", "", None], max_new_tokens=5)
    assert full
    assert empty == ["", ""]
    assert model.generate(["", "a"], max_new_tokens=5, num_return=2, sampler="beam")[0] == ["", ""]


def test_a_long_source_keeps_its_start_when_it_may_be_cut(model):
    ids = random_ids(1, 50)[0].tolist()
    cut = model.generate(ids, max_new_tokens=8, truncate=True)
    assert cut == model.generate(ids[:31], max_new_tokens=8)
    assert model.generate([], max_new_tokens=8) == []


def test_long_pairs_are_cut_with_one_warning():
    model = tiny_transformer(max_length=32, task={"source_length": 4, "target_length": 6})
    pairs = [("x", "abcdefghij"), ("abcdefghij", "x"), ("x", "y")]
    message = "2 of 3 pairs have a source of more than 4 tokens or a target of more than 6"
    with pytest.warns(UserWarning, match=message):
        examples = model.examples(pairs)
    inputs = examples.batch(range(3), 32)[0]
    long = tokenizer().encode("abcdefghij")
    assert inputs["token_ids"][1, :4].tolist() == [*long[:3], END]
    assert inputs["decoder_token_ids"][0, :6].tolist() == [END, *long[:5]]
    examples = model.pair_format.examples(["x"], ["abcde"])
    assert examples.targets[0].tolist() == [END, *tokenizer().encode("abcde"), END]


def test_predict_gives_logits_of_targets(model):
    logits = model.predict(PAIRS[:2], verbose=0)
    source, inputs, _ = next(rows_of(PAIRS))
    expected = logits_of(model, source, inputs)
    assert logits.shape[::2] == (2, VOCAB_SIZE)
    np.testing.assert_allclose(logits[0, : len(inputs)], expected, atol=1e-4)


def test_buckets_hold_each_pair_once_and_jax_sees_few_shapes(backend):
    rng = np.random.default_rng(0)
    sources = [np.ones(n, "int32") for n in rng.integers(2, 60, 400)]
    targets = [np.full(n, i + 2, "int32") for i, n in enumerate(rng.integers(3, 60, 400))]
    data = PairBuckets(PairExamples(sources, targets), 16, shuffle=True, max_length=64, seed=0)
    shapes, seen, filled, slots = set(), [], 0, 0
    for index in range(len(data)):
        inputs, labels, weights = data[index]
        seen += labels[:, 0].tolist()
        shapes.add((inputs["token_ids"].shape[1], labels.shape[1]))
        filled += weights.sum() + inputs["padding_mask"].sum()
        slots += weights.size + inputs["padding_mask"].size
    assert sorted(seen) == list(range(2, 402))
    assert filled / slots > (0.6 if backend == "jax" else 0.7)
    assert backend != "jax" or len(shapes) <= 25


def test_is_saved_and_loaded(learner, tmp_path):
    def check(again):
        assert type(again) is zoo.Seq2SeqLM
        assert again.tokenizer == learner.tokenizer
        seen, expected = (logits_of(one, [5, 6, END], [END, 7]) for one in (again, learner))
        np.testing.assert_array_equal(seen, expected)

    learner.fit(*arrays(), verbose=0)  # so that there is an optimizer's state to be kept
    zoo.save(learner, tmp_path / "preset")
    check(zoo.load(tmp_path / "preset"))
    learner.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    check(again)
    assert int(again.optimizer.iterations) == int(learner.optimizer.iterations) > 0
    other = zoo.load(tmp_path / "preset", source_length=9, label_smoothing=0.0)
    assert (other.source_length, other.label_smoothing) == (9, 0.0)
    with pytest.raises(ValueError, match="task of a transformer model must be one of seq2seq"):
        zoo.load(tmp_path / "preset", task="causal_lm")


def golden():
    """Logits, the losses of 10 epochs of `fit`, and texts by greedy and beam search."""
    keras.utils.set_random_seed(0)
    inputs, _ = arrays()
    model = tiny_transformer(max_length=32)
    content = {
        "logits": ops.convert_to_numpy(model(inputs))[0].tolist(),
        "texts": model.generate(SOURCES, max_new_tokens=10),
        "beam": model.generate(SOURCES, max_new_tokens=10, sampler=Beam(3), num_return=2),
    }
    model = tiny_transformer(max_length=32, scale=0.1)
    model.compile(optimizer=keras.optimizers.Adam(3e-3, epsilon=1e-4))
    history = model.fit(PAIRS, epochs=10, batch_size=4, verbose=0).history
    return {**content, "losses": history["loss"]}


@pytest.mark.slow_to_compile
def test_backends_agree():
    seen, expected = golden(), json.loads(GOLDEN.read_text(encoding="utf-8"))
    np.testing.assert_allclose(seen["logits"], expected["logits"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(seen["losses"], expected["losses"], rtol=1e-4)
    assert seen["losses"][-1] < 0.95 * seen["losses"][0]
    assert seen["texts"] == expected["texts"]
    assert seen["beam"] == expected["beam"]


@pytest.mark.slow_to_compile
def test_trains_in_mixed_precision():
    model = tiny_transformer(scale=0.1, max_length=32, dtype="mixed_float16")
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    history = model.fit(PAIRS, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][1] < history["loss"][0]


def test_bad_input_is_one_clear_sentence(model):
    with pytest.raises(ValueError, match="as many targets as sources; got 2 sources and 1 targets"):
        model.fit(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="as many targets as sources; got 1 sources and 2 targets"):
        model.score(["a"], ["c", "d"])
    with pytest.raises(ValueError, match="Each source needs a target"):
        model.fit(["a", "b"])
    with pytest.raises(ValueError, match="pair of a source and a target; the one at position 1"):
        model.evaluate([("a", "b"), ("a", "b", "c")])
    with pytest.raises(ValueError, match="no pair has two texts"):
        model.fit([("", "b")])
    with pytest.raises(ValueError, match="no pair has two texts"):
        model.evaluate(["a"], [""])
    with pytest.raises(ValueError, match=r"context of 32 tokens; the one at position 1 has 50"):
        model.generate(["a", "é" * 25], max_new_tokens=3)
    with pytest.raises(ValueError, match=r"1 of 1 pairs have a source .* Shorten or split them"):
        model.score(["é" * 25], ["a"])
    with pytest.raises(ValueError, match="max_new_tokens must fit into the context of 32 tokens"):
        model.generate("a", max_new_tokens=33)
    with pytest.raises(ValueError, match="max_new_tokens must be a whole number of at least 1"):
        model.generate("a", max_new_tokens=0)
    with pytest.raises(ValueError, match="num_return must be a whole number of at least 1; got 0"):
        model.generate("a", num_return=0)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1; got 0"):
        model.generate("a", batch_size=0)
    with pytest.raises(ValueError, match="stop takes strings, so the source must be text"):
        model.generate([1], stop="x")
    with pytest.raises(ValueError, match="must come as a dict of 'token_ids' and 'decoder_token_i"):
        model.fit(random_ids(2, 5), random_ids(2, 5))
    with pytest.raises(ValueError, match="Arrays of token ids need labels"):
        model.fit(arrays()[0])
    with pytest.raises(ValueError, match=r"There must be a label for each token id"):
        model.fit(arrays()[0], random_ids(2, 3))
    with pytest.raises(ValueError, match=r"sample_weight must have a number for each of the 4 pai"):
        model.fit(PAIRS, sample_weight=[1.0])
    with pytest.raises(TypeError, match="Text must be str; got int"):
        model.fit([("a", "b"), ("a", 3)])
    with pytest.raises(ValueError, match="has no tokenizer, so it takes token ids"):
        tiny_transformer(with_tokenizer=False).generate("a")
    with pytest.raises(ValueError, match=r"source_length must be between 2 and .* 32; got 33"):
        zoo.Seq2SeqLM(model.backbone, source_length=33)
    with pytest.raises(ValueError, match="label_smoothing must be at least 0 and below 1; got 1"):
        zoo.Seq2SeqLM(model.backbone, label_smoothing=1)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), ensure_ascii=False), encoding="utf-8")
