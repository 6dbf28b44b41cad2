"""A student that learns from a teacher: losses by their formulas, and what fit does to both."""

import threading

import keras
import numpy as np
import pytest
from zoo.training import distillation
from zoo.training.distillation import (
    Distiller,
    HiddenCosine,
    HiddenStates,
    Relations,
    SentenceVectors,
    copy_layers,
    hinton,
)

import zoo
from tests.distilled import (
    LABELS,
    PARTS,
    Y,
    classifier,
    equal_twin,
    log_softmax,
    losses_of,
    numpy_losses,
)
from tests.models import TEXTS, tiny_backbone, tiny_gpt, tiny_transformer, with_weights, word_pieces
from zoo.layers import watch

METHODS = {
    "hinton": lambda: hinton(temperature=3.0, hard=0.3),
    "patient": distillation.patient,
    "tinybert": distillation.tinybert,
    "minilm": distillation.minilm,
    "minilm, other heads": lambda: distillation.minilm(num_heads=4, teacher_layer=2),
    "cosine, vectors": lambda: [HiddenCosine(), SentenceVectors()],
}


@pytest.mark.parametrize(
    ("method", "width"), [*((method, 8) for method in METHODS), ("patient", 16), ("tinybert", 16)]
)
def test_losses_are_their_formulas(method, width):
    student, teacher = classifier(2, width, scale=0.2), classifier(4)
    losses = METHODS[method]()
    distiller = Distiller(student, teacher, losses)
    for weight in sorted(distiller.weights[len(student.weights) :], key=lambda w: w.path):
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))  # projections
    logs = losses_of(distiller, PARTS, Y)
    expected = numpy_losses(distiller, student, teacher, PARTS, Y)
    assert logs.keys() - {"loss", "accuracy"} == expected.keys()
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=2e-4, abs=1e-5), name
    total = sum(one.weight * expected[one.name] for one in losses)
    assert logs["loss"] == pytest.approx(total, rel=2e-4)


def test_distilberts_losses_are_those_of_masked_tokens():
    student, teacher = (
        with_weights(zoo.MaskedLM(tiny_backbone(num_layers=n), word_pieces()), scale)
        for n, scale in ((1, 0.2), (2, 0.3))
    )
    logs = losses_of(Distiller(student, teacher, distillation.distilbert()), TEXTS)
    (batch,) = student.batches(list(TEXTS), 8, 0, is_fixed=True, shuffle=False)
    inputs, labels, weight = batch
    logits = [keras.ops.convert_to_numpy(m(inputs)).astype("float64") for m in (student, teacher)]
    log_q, log_p = (log_softmax(x / 2) for x in logits)
    nats = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    assert logs["soft_targets"] == pytest.approx(4 * np.average(nats, weights=weight), rel=2e-4)
    own = -np.take_along_axis(log_softmax(logits[0]), labels[..., None], axis=-1)[..., 0]
    assert logs["own_loss"] == pytest.approx(np.average(own, weights=weight), rel=2e-4)
    weighed = 5 * logs["soft_targets"] + 2 * logs["own_loss"] + logs["hidden_cosine"]
    assert logs["loss"] == pytest.approx(weighed, rel=1e-4)


def test_labels_that_go_together_are_sigmoids():
    student, teacher = (
        with_weights(
            zoo.TextClassifier(
                tiny_backbone(), word_pieces(), ["a", "b", "c"], "mean", problem="multi_label"
            ),
            scale,
        )
        for scale in (0.2, 0.3)
    )
    logs = losses_of(Distiller(student, teacher, hinton(temperature=2.0, hard=0.0)), PARTS)
    q, p = (1 / (1 + np.exp(-m.predict(PARTS).astype("float64") / 2)) for m in (student, teacher))
    nats = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert logs["soft_targets"] == pytest.approx(4 * nats.mean(), rel=2e-4)


def test_a_watcher_sees_what_its_own_thread_calls():
    block = tiny_backbone().blocks[0]
    x = np.ones((1, 3, 16), "float32")
    seen = {}

    def call():
        block(x)

    with watch() as outer:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        with watch() as inner:
            seen["left"] = block(x)
        assert not outer
        block.attention(x)
    assert inner[block]["left"] is seen["left"]
    assert block.attention in outer
    assert block not in outer
    assert outer[block.attention]["query"].shape == (1, 3, 2, 8)


def twins(task):
    """A task, its equal, and what both learn from."""
    words = [["the", "sea", "was", "calm"], ["it", "was", "late"]]
    tags = [["a", "b", "a", "a"], ["b", "a", "b"]]
    answer = {"id": "1", "question": "who?", "context": "the captain laughed"}
    answer["answers"] = [{"text": "the captain", "answer_start": 0}]
    makers = {
        "tagging": lambda: zoo.TokenClassifier(tiny_backbone(), word_pieces(), labels=LABELS),
        "answers": lambda: zoo.QuestionAnswerer(tiny_backbone(), word_pieces()),
        "pretraining": lambda: zoo.BertPretrainer(tiny_backbone(), word_pieces()),
        "writing": tiny_gpt,
        "translation": tiny_transformer,
    }
    data = {
        "tagging": (words, tags),
        "answers": ([answer],),
        "pretraining": (list(TEXTS),),
        "writing": (list(TEXTS),),
        "translation": ([("a house", "une maison"), ("a tree", "un arbre")],),
    }
    return (*equal_twin(makers[task]), data[task])


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("task", ["tagging", "answers", "pretraining", "writing", "translation"])
def test_an_equal_of_its_teacher_has_nothing_to_learn_from_it(task):
    student, teacher, data = twins(task)
    hidden = [HiddenStates(), Relations("query", "key")] if task != "translation" else []
    logs = losses_of(Distiller(student, teacher, [*hinton(), *hidden]), *data)
    own = student.evaluate(*data, verbose=0, return_dict=True)["loss"]
    assert logs["own_loss"] == pytest.approx(own, rel=1e-4)
    for name in logs.keys() & {"soft_targets", "hidden_states", "query_key_relation"}:
        assert logs[name] == pytest.approx(0, abs=1e-5), name


def test_a_causal_models_relations_leave_out_the_future():
    student, teacher = tiny_gpt(scale=0.2), tiny_gpt()
    for model in (student, teacher):
        model.compile(optimizer="sgd")
    losses = [Relations("value", "value")]
    logs = losses_of(Distiller(student, teacher, losses), [TEXTS[1]])
    expected = numpy_losses(Distiller(student, teacher, losses), student, teacher, [TEXTS[1]], None)
    assert logs["value_value_relation"] == pytest.approx(expected["value_value_relation"], rel=2e-4)


@pytest.mark.slow_to_compile
def test_fit_brings_the_student_to_its_teacher_and_leaves_that_alone(tmp_path):
    student, teacher = classifier(1, 8, scale=0.2), classifier(2)
    before = [keras.ops.convert_to_numpy(w).copy() for w in teacher.weights]
    distiller = Distiller(student, teacher, [*hinton(hard=0.0), HiddenCosine(weight=0.1)])
    distiller.compile(keras.optimizers.Adam(1e-2))
    start = losses_of(distiller, PARTS)
    history = distiller.fit(PARTS, epochs=30, verbose=0, validation_data=PARTS).history
    assert history["val_loss"][-1] < 0.4 * start["loss"]
    assert history["val_hidden_cosine"][-1] < 0.5 * start["hidden_cosine"]
    np.testing.assert_array_equal(distiller.predict(PARTS, verbose=0), student.predict(PARTS))
    for weight, value in zip(teacher.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
    assert teacher.frozen == []
    teachers = {id(w) for w in teacher.weights}
    assert not any(id(w) in teachers for w in distiller.weights)
    zoo.save(student, tmp_path / "student")
    loaded = zoo.load(tmp_path / "student")
    np.testing.assert_allclose(loaded.predict(PARTS), student.predict(PARTS), atol=1e-6)


def test_what_no_loss_depends_on_does_not_even_decay():
    student, teacher = classifier(2), classifier(2, scale=0.2)
    before = {w.path: keras.ops.convert_to_numpy(w).copy() for w in student.weights}
    distiller = Distiller(student, teacher, [HiddenStates([(1, 1)])])
    distiller.compile(keras.optimizers.AdamW(1e-2, weight_decay=0.1))
    distiller.fit(PARTS, verbose=0)
    changed = {
        w.path
        for w in student.weights
        if not np.array_equal(keras.ops.convert_to_numpy(w), before[w.path])
    }
    assert {path.split("/")[0] for path in changed} == {
        "token_embedding",
        "position_embedding",
        "segment_embedding",
        "embedding_norm",
        "block_0",
    }


@pytest.mark.slow_to_compile
def test_a_text_of_weight_0_counts_for_nothing():
    student, teacher = classifier(2, scale=0.2), classifier(2)
    for losses in (hinton, distillation.patient, distillation.tinybert):
        distiller = Distiller(student, teacher, losses())
        logs = distiller.evaluate(PARTS, Y, sample_weight=[1, 0, 0, 0], verbose=0, return_dict=True)
        alone = losses_of(distiller, PARTS[:1], Y[:1])
        assert logs["loss"] == pytest.approx(alone["loss"], rel=1e-4)


def test_a_teacher_is_told_which_text_of_a_pair_a_token_is_of():
    pairs = [("the sea was calm", "it was late"), ("captain", "the sky was grey")]
    student = classifier(1, cls=zoo.models.DistilBERT)
    teacher = classifier(1)
    distiller = Distiller(student, teacher, hinton(temperature=1.0, hard=0.0))
    logits = [m.predict(pairs, verbose=0).astype("float64") for m in (student, teacher)]
    log_q, log_p = map(log_softmax, logits)
    expected = np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=-1))
    assert losses_of(distiller, pairs)["soft_targets"] == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    "dtype",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow_to_compile)],
)
@pytest.mark.slow_to_compile
def test_losses_are_float32_in_mixed_precision(dtype):
    losses = [*hinton(), HiddenStates(), *distillation.minilm()]
    exact = losses_of(Distiller(classifier(1, scale=0.2), classifier(2), losses), PARTS, Y)
    student = classifier(1, scale=0.2, dtype=dtype)
    losses = [*hinton(), HiddenStates(), *distillation.minilm()]
    distiller = Distiller(student, classifier(2, dtype=dtype), losses)
    for name, value in losses_of(distiller, PARTS, Y).items():
        assert value == pytest.approx(exact[name], rel=0.1, abs=0.02), name
    assert np.isfinite(distiller.fit(PARTS, Y, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("cls", [zoo.models.BERT, zoo.models.DistilBERT])
def test_a_student_of_all_layers_is_its_teacher(cls):
    teacher = classifier(2)
    student = with_weights(classifier(2, cls=cls), 0.1)
    assert copy_layers(teacher, student) == [0, 1]
    np.testing.assert_allclose(student.predict(PARTS), teacher.predict(PARTS), atol=1e-5)
    assert copy_layers(classifier(4), student) == [0, 2]
    weight = next(w for w in student.weights if w.path == "block_1/attention/qkv/kernel")
    theirs = {w.path: w for w in classifier(4).weights}["block_2/attention/qkv/kernel"]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (weight, theirs)))


@pytest.mark.slow_to_compile
def test_a_translator_writes_what_another_learns_from():
    teacher = tiny_transformer()
    sources = ["a house", "a tree"]
    pairs = distillation.sequence_targets(teacher, sources, sampler="greedy", max_new_tokens=5)
    targets = teacher.generate(sources, sampler="greedy", max_new_tokens=5)
    assert pairs == [pair for pair in zip(sources, targets, strict=True) if pair[1].strip()]
    assert pairs
