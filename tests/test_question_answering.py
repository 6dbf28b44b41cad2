"""Extractive question answering."""

import json

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_backbone, with_weights, word_pieces
from zoo.tasks import QAExample

# Of so few tokens many words are unknown.
pytestmark = pytest.mark.filterwarnings("ignore:.*unknown to the tokenizer")

CONTEXT = "The sea was calm. The captain laughed a long while. It was late."


WRONG = {
    "id": "1",
    "question": "q",
    "context": "abc",
    "answers": [{"text": "xyz", "answer_start": 0}],
}


def question(text, answer, context=CONTEXT, number=0):
    answers = ((answer, context.index(answer)),) if answer else ()
    return QAExample(id=f"{text}{number}", question=text, context=context, answers=answers)


QUESTIONS = [
    question("was?", "calm"),
    question("laughed?", "The captain"),
    question("while?", "a long while"),
    question("nobody?", None),
]


def answerer(max_length=64, **arguments):
    model = zoo.QuestionAnswerer(tiny_backbone(max_length=max_length), word_pieces(), **arguments)
    return with_weights(model)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = answerer()
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(QUESTIONS, batch_size=4, epochs=60, verbose=0)
    return model


def test_fit_learns_spans_and_their_absence(trained):
    expected = {q.id: q.answers[0][0] if q.answers else "" for q in QUESTIONS}
    assert trained.predict_answers(QUESTIONS) == expected
    assert trained.evaluate(QUESTIONS, verbose=0, return_dict=True)["accuracy"] == 1


def test_answers_stand_in_their_context(trained):
    answer = trained.answer("laughed?", CONTEXT)
    assert answer["text"] == CONTEXT[answer["start"] : answer["end"]] == "The captain"
    assert answer["score"] > 0
    nothing = trained.answer("nobody?", CONTEXT)
    assert (nothing["text"], nothing["start"], nothing["end"]) == ("", None, None)
    several = trained.answer("laughed?", CONTEXT, top_k=4)
    assert several[0] == answer
    assert len(several) == 4
    scores = [a["score"] for a in several]
    assert scores == sorted(scores, reverse=True)


def test_the_threshold_decides_for_no_answer(trained):
    trained.no_answer_threshold = 1e5
    assert trained.answer("laughed?", CONTEXT)["text"] == ""
    trained.no_answer_threshold = -1e5
    assert trained.answer("nobody?", CONTEXT)["text"] != ""
    trained.no_answer_threshold = 0.0


def test_squad_files_are_read_directly(trained, tmp_path):
    paragraph = {
        "context": CONTEXT,
        "qas": [
            {
                "id": q.id,
                "question": q.question,
                "answers": [{"text": t, "answer_start": s} for t, s in q.answers],
                "is_impossible": not q.answers,
            }
            for q in QUESTIONS
        ],
    }
    contents = {"version": "v2.0", "data": [{"title": "x", "paragraphs": [paragraph]}]}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(contents), encoding="utf-8")
    for source in (path, str(path), contents):
        assert trained.evaluate(source, verbose=0, return_dict=True)["accuracy"] == 1
    assert trained.predict_answers(path) == trained.predict_answers(QUESTIONS)


def test_windows_point_to_the_answer_or_to_the_start():
    model = answerer(max_length=24, window_stride=8)
    context = "sea " * 30 + "the captain laughed " + "sky " * 30
    examples = model.examples([question("who?", "captain", context)])
    assert len(examples) > 3
    pointing = 0
    for row, (start, end) in zip(examples.inputs["token_ids"], examples.labels, strict=True):
        if start == end == 0:
            continue
        pointing += 1
        assert word_pieces().decode(row[start : end + 1]) == "captain"
    assert pointing >= 1
    assert max(examples.lengths) <= 24
    answer = model.answer("who?", context, top_k=3)
    assert all(a["start"] is None or context[a["start"] : a["end"]] == a["text"] for a in answer)


def test_answers_do_not_depend_on_padding():
    model = answerer()
    long = question("was?", "calm", CONTEXT + " sea" * 20, 1)
    apart = {**model.predict_answers([QUESTIONS[0]]), **model.predict_answers([long])}
    assert model.predict_answers([QUESTIONS[0], long], batch_size=2) == apart
    one = model.evaluate([QUESTIONS[0]], verbose=0, return_dict=True)["loss"]
    other = model.evaluate([long], verbose=0, return_dict=True)["loss"]
    both = model.evaluate([QUESTIONS[0], long], batch_size=2, verbose=0, return_dict=True)["loss"]
    assert both == pytest.approx((one + other) / 2, rel=1e-4)


@pytest.mark.parametrize("context", ["naïve 🙂 سلام (calm)!", "e\u0301 calm 数字 x"])
def test_offsets_are_characters(context):
    model = answerer()
    for answer in model.answer("was?", context, top_k=8):
        assert answer["start"] is None or context[answer["start"] : answer["end"]] == answer["text"]
    example = question("was?", "calm", context)
    ((start, end),) = model.examples([example]).labels
    (row,) = model.examples([example]).inputs["token_ids"]
    assert word_pieces().decode(row[start : end + 1]) == "calm"


def test_saved_with_its_settings(tmp_path, trained):
    zoo.save(trained, tmp_path / "m")
    other = zoo.load(tmp_path / "m")
    assert other.predict_answers(QUESTIONS) == trained.predict_answers(QUESTIONS)
    assert other.max_answer_length == 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.answer("", CONTEXT), "its question must not be empty"),
        (lambda m: m.answer("who?", " "), "its context must not be empty"),
        (
            lambda m: m.answer("who?", CONTEXT, top_k=0),
            "top_k must be a whole number of",
        ),
        (lambda m: m.fit(QUESTIONS, [1, 2, 3, 4]), "without y"),
        (lambda m: m.fit("/no/such/file.json"), "/no/such/file.json"),
        (lambda m: m.fit([WRONG]), "Question '1': .*'abc'"),
    ],
    ids=["question", "context", "top_k", "labels", "file", "answer"],
)
def test_bad_input_is_refused(trained, call, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(trained)


def test_a_question_must_leave_room():
    model = answerer(max_length=16)
    with pytest.raises(ValueError, match="must leave room for its text in the model's 16 tokens"):
        model.answer("sea " * 20, CONTEXT)


def test_padding_gets_no_probability():
    model = answerer()
    ids = np.array([[2, 9, 3, 0, 0]], "int32")
    logits = model.predict({"token_ids": ids, "padding_mask": ids > 0}, verbose=0)
    assert (logits[0, 3:] < -1e8).all()
