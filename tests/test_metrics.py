"""Scores: cases worked out by hand, agreement with the peers, and properties of any scores."""

import builtins
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from zoo.training import metrics

from zoo.data.entities import entities
from zoo.data.formats import QAExample

pytestmark = pytest.mark.backend_free

LABELS = ["neg", "neutral", "pos"]


def rounded(scores):
    """The same scores with floats that can be compared."""
    if isinstance(scores, dict):
        return {name: rounded(value) for name, value in scores.items()}
    return round(scores, 6) if isinstance(scores, float) else scores


def test_labels_by_hand():
    true = ["neg", "neg", "pos", "pos", "pos"]
    predicted = ["neg", "pos", "pos", "pos", "neg"]
    scores = metrics.classification_scores(true, predicted, LABELS)
    assert rounded(scores) == {
        "accuracy": 0.6,
        "macro_f1": round((1 / 2 + 0 + 2 / 3) / 3, 6),
        "per_label": {
            "neg": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
            "neutral": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
            "pos": {"precision": 0.666667, "recall": 0.666667, "f1": 0.666667, "support": 3},
        },
    }
    numbers = metrics.classification_scores([0, 0, 2, 2, 2], [0, 2, 2, 2, 0], range(3))
    assert list(numbers["per_label"].values()) == list(scores["per_label"].values())
    assert list(numbers["per_label"]) == [0, 1, 2]


pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)


@given(pairs)
def test_labels_are_counted(pairs):
    true, predicted = map(list, zip(*pairs, strict=True))
    scores = metrics.classification_scores(true, predicted, LABELS)
    for label, row in scores["per_label"].items():
        guesses = [t for t, p in pairs if p == label]
        there = [p for t, p in pairs if t == label]
        assert row["support"] == len(there)
        assert row["precision"] == pytest.approx(guesses.count(label) / max(len(guesses), 1))
        assert row["recall"] == pytest.approx(there.count(label) / max(len(there), 1))
        both = row["precision"] + row["recall"]
        harmonic = 2 * row["precision"] * row["recall"] / both if both else 0
        assert row["f1"] == pytest.approx(harmonic)
    f1 = [row["f1"] for row in scores["per_label"].values()]
    assert scores["macro_f1"] == pytest.approx(sum(f1) / len(LABELS))
    assert scores["accuracy"] == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))


def test_scores_are_plain_numbers():
    scores = metrics.classification_scores(["pos"], ["pos"], LABELS)
    scores |= scores.pop("per_label")["pos"]
    assert {name: type(value) for name, value in scores.items()} == {
        "accuracy": float,
        "macro_f1": float,
        "precision": float,
        "recall": float,
        "f1": float,
        "support": int,
    }
    scores = metrics.entity_f1([["B-PER"]], [["B-PER"]])
    scores |= scores.pop("per_label")["PER"]
    assert [type(value) for value in scores.values()] == [float, float, float, int]
    scores = metrics.squad_scores({"q": "x"}, [QAExample("q", "?", "x", (("x", 0),))])
    assert [type(value) for value in scores.values()] == [float, float, int]


@pytest.mark.parametrize(
    ("true", "predicted", "labels", "message"),
    [
        (["pos"], ["pos", "neg"], LABELS, r"one length, at least 1; got the shapes \(1,\) and \(2"),
        ([], [], LABELS, r"at least 1; got the shapes \(0,\) and \(0,\)"),
        ([["pos"]], [["pos"]], LABELS, r"flat sequences .* \(1, 1\) and \(1, 1\)"),
        (["pos"], ["good"], LABELS, r"one of \['neg', 'neutral', 'pos'\]; got 'good'"),
        ([3], [0], range(3), r"one of \[0, 1, 2\]; got 3"),
        (["pos"], ["pos"], ["pos", "pos"], r"listed once; got \['pos', 'pos'\]"),
    ],
    ids=["lengths", "empty", "nested", "unknown", "unknown_number", "repeated"],
)
def test_errors_of_labels(true, predicted, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.classification_scores(true, predicted, labels)


def test_entities_by_hand():
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O", "B-ORG", "I-ORG"]]
    predicted = [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O", "B-ORG", "O"]]
    # Right: PER and LOC of the first sentence. Found 4, there are 4.
    assert rounded(metrics.entity_f1(true, predicted)) == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "per_label": {
            "LOC": {"precision": 1.0, "recall": 0.5, "f1": 0.666667, "support": 2},
            "ORG": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
            "PER": {"precision": 0.5, "recall": 1.0, "f1": 0.666667, "support": 1},
        },
    }
    assert metrics.entity_f1([["I-PER", "I-PER"]], [["B-PER", "I-PER"]])["f1"] == 1
    assert metrics.entity_f1([["B-PER"], ["I-PER"]], [["B-PER"], ["B-PER"]])["f1"] == 1
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "per_label": {}}
    assert metrics.entity_f1([["O"], []], [["O"], []]) == nothing


tag = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
sentence = st.lists(st.tuples(tag, tag), max_size=8)


@given(st.lists(sentence, min_size=1, max_size=4))
def test_entities_are_counted_whole(sentences):
    true = [[t for t, _ in row] for row in sentences]
    predicted = [[p for _, p in row] for row in sentences]
    scores = metrics.entity_f1(true, predicted)
    there, found = (
        {(i, *span) for i, tags in enumerate(side) for span in entities(tags)}
        for side in (true, predicted)
    )
    right = len(there & found)
    assert scores["precision"] == pytest.approx(right / max(len(found), 1))
    assert scores["recall"] == pytest.approx(right / max(len(there), 1))
    assert scores["f1"] == pytest.approx(2 * right / max(len(there) + len(found), 1))
    assert list(scores["per_label"]) == sorted({label for _, label, *_ in there | found})
    for label, row in scores["per_label"].items():
        assert row["support"] == sum(span[1] == label for span in there)
    swapped = metrics.entity_f1(predicted, true)
    assert (swapped["recall"], swapped["f1"]) == (scores["precision"], scores["f1"])
    if there:
        assert metrics.entity_f1(true, true)["f1"] == 1
        report = classification_report(true, predicted, output_dict=True, zero_division=0)
        peers = {label: list(report[label].values()) for label in scores["per_label"]}
        assert peers == {label: list(row.values()) for label, row in scores["per_label"].items()}


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([["O"]], [["O"], ["O"]], r"the same sentences, at least 1; got 1 and 2\."),
        ([], [], r"at least 1; got 0 and 0\."),
        ([["O"], ["O", "O"]], [["O"], ["O"]], r"got 2 and 1 for sentence 1\."),
        ([["NOUN"]], [["O"]], r"'O', 'B-label' or 'I-label'; got 'NOUN' for word 0"),
        ([["O"]], [["S-PER"]], r"got 'S-PER' for word 0"),
    ],
    ids=["sentences", "empty", "words", "no_spans", "another_scheme"],
)
def test_errors_of_entities(true, predicted, message):
    with pytest.raises(ValueError, match=message):
        metrics.entity_f1(true, predicted)


def test_without_seqeval_it_is_said_how_to_get_it(monkeypatch):
    find = builtins.__import__

    def without_seqeval(name, *args, **kwargs):
        if name.startswith("seqeval"):
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_seqeval)
    with pytest.raises(ImportError, match=r'pip install "keras-zoo\[eval\]"'):
        metrics.entity_f1([["O"]], [["O"]])


def example(*answers, id="q"):
    """A question with the given answers, one after the other in its context."""
    context, spans = "", []
    for answer in answers:
        spans.append((answer, len(context)))
        context += answer + " "
    return QAExample(id, "Which?", context, tuple(spans))


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("Paris", ["Paris"], 1, 1),
        ("the PARIS!", ["Paris"], 1, 1),
        ("  Paris\n France ", ["Paris, France"], 1, 1),
        ("U.S.A", ["USA"], 1, 1),  # punctuation goes first, so that "A" is no article here
        ("an theatre", ["theatre"], 1, 1),  # "the" only as a whole word
        ("twenty-one", ["twenty one"], 0, 0),
        ("in Paris", ["Paris"], 0, 2 / 3),  # precision 1/2, recall 1
        ("the city of Paris", ["Paris, the city"], 0, 2 * (2 / 3 * 1) / (2 / 3 + 1)),
        ("blue blue", ["blue"], 0, 2 / 3),  # a word counts as often as both have it
        ("Lyon", ["Paris"], 0, 0),
        ("", ["Paris"], 0, 0),
        ("red car", ["a car", "the red cars", "blue"], 0, 2 / 3),
        ("car", ["blue", "a car"], 1, 1),
        ("“Paris”", ["Paris"], 0, 0),  # only ASCII punctuation is dropped
        ("", [], 1, 1),
        ("?!", [], 1, 1),
        ("The", [], 1, 1),
        ("Paris", [], 0, 0),
        ("", ["the"], 1, 1),  # a gold answer without words asks for none
        ("the", ["the", "Paris"], 0, 0),  # unless another has some
    ],
)
def test_answers_by_hand(prediction, answers, exact, f1):
    scores = metrics.squad_scores({"q": prediction}, [example(*answers)])
    assert scores["exact"] == 100 * exact
    assert scores["f1"] == pytest.approx(100 * f1)
    assert scores["total"] == 1


def test_questions_without_answer_are_counted_apart():
    references = [
        example("Paris", id="a"),
        example(id="b"),
        example("Rome", id="c"),
        example(id="d"),
    ]
    predictions = {"a": "in Paris", "b": "", "c": "Rome", "d": "Oslo", "other": "not scored"}
    assert rounded(metrics.squad_scores(predictions, references)) == {
        "exact": 50.0,
        "f1": 66.666667,
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": 83.333333,
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }
    assert list(metrics.squad_scores(predictions, references[::2])) == ["exact", "f1", "total"]
    assert rounded(metrics.squad_scores(predictions, references[1::2])) == {
        "exact": 50.0,
        "f1": 50.0,
        "total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }


words = st.lists(st.sampled_from(["the", "A", "red", "Car", "car.", "b-c", "!"]), max_size=4)
text = words.map(" ".join)
golds = st.lists(text.filter(bool), max_size=3)


@given(st.lists(st.tuples(text, golds), min_size=1, max_size=5))
def test_properties_of_answer_scores(rows):
    references = [example(*answers, id=str(i)) for i, (_, answers) in enumerate(rows)]
    predictions = {str(i): prediction for i, (prediction, _) in enumerate(rows)}
    scores = metrics.squad_scores(predictions, references)
    assert 0 <= scores["exact"] <= scores["f1"] <= 100 + 1e-9
    single = [metrics.squad_scores(predictions, [one]) for one in references]
    for name in ("exact", "f1"):
        assert scores[name] == pytest.approx(sum(s[name] for s in single) / len(single))
        if "NoAns_total" in scores and "HasAns_total" in scores:
            groups = sum(scores[f"{g}_{name}"] * scores[f"{g}_total"] for g in ("HasAns", "NoAns"))
            assert scores[name] * scores["total"] == pytest.approx(groups)
    decorated = {id: f" The {text.upper()} ?" for id, text in predictions.items()}
    assert metrics.squad_scores(decorated, references) == scores


@given(golds.filter(bool), text)
def test_the_best_gold_answer_counts(answers, prediction):
    worded = [answer for answer in answers if metrics.answer_words(answer)]
    scores = metrics.squad_scores({"q": prediction}, [example(*answers)])
    each = [metrics.squad_scores({"q": prediction}, [example(one)]) for one in worded or answers]
    for name in ("exact", "f1"):
        assert scores[name] == max(score[name] for score in each)
    if worded:
        assert metrics.squad_scores({"q": worded[-1]}, [example(*answers)])["exact"] == 100


@given(text.filter(metrics.answer_words), text.filter(metrics.answer_words))
def test_f1_is_symmetric_and_whole_only_for_the_same_words(first, second):
    f1 = metrics.squad_scores({"q": first}, [example(second)])["f1"]
    assert f1 == metrics.squad_scores({"q": second}, [example(first)])["f1"]
    same = sorted(metrics.answer_words(first)) == sorted(metrics.answer_words(second))
    assert math.isclose(f1, 100) is same


def test_errors_of_answers():
    references = [example("x", id=id) for id in "abc"]
    message = r"'' for no answer; 2 of 3 have none, the first is 'b'"
    with pytest.raises(ValueError, match=message):
        metrics.squad_scores({"a": "x"}, references)
    with pytest.raises(ValueError, match=r"at least one question to score; got none"):
        metrics.squad_scores({}, [])
    with pytest.raises(ValueError, match=r"different ids; got 'b' 2 times"):
        metrics.squad_scores({"a": "x", "b": "x"}, [references[0], references[1], references[1]])
    with pytest.raises(ValueError, match=r"The prediction for 'a' must be a text; got NoneType"):
        metrics.squad_scores({"a": None}, references[:1])
