"""SavedModels of the tasks over encoders: what they answer is what the tasks answer."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_backbone, tokenizer, with_weights, word_pieces
from tests.test_exporting import CONSUMER, as_bytes
from zoo.data.rows import RowFormat

TEXTS = ["The sea was calm.", "naïve 🙂 (captain)", "数字 late"]
SECONDS = ["It was late.", "best", "of times"]
QUESTION = "was?"
CONTEXTS = ["The sea was calm — naïve 🙂 captain. It was late.", "calm", "naïve 🙂", "sea"]
MASKED = ["the [MASK] was calm", "[MASK] was [MASK]"]
LABELS = ["neg", "zero", "pos"]


def make(task, **arguments):
    return with_weights(task(tiny_backbone(max_length=48), word_pieces(), **arguments))


def all_tasks():
    return {
        "text": make(zoo.TextClassifier, labels=LABELS),
        "token": make(zoo.TokenClassifier, labels=LABELS),
        "span": make(zoo.QuestionAnswerer, no_answer_threshold=0.3, max_answer_length=5),
        "vector": make(zoo.TextEmbedder),
        "mask": make(zoo.MaskedLM),
        "pair": make(zoo.BertPretrainer),
    }


CALLS = {
    "text": [
        ("classify", {"text": as_bytes(TEXTS)}),
        ("classify_pair", {"text": as_bytes(TEXTS), "second": as_bytes(SECONDS)}),
        ("classify", {"text": as_bytes(["sea " * 80])}),
        ("classify", {"text": as_bytes([" "])}),
        ("classify", {"text": as_bytes([])}),
    ],
    "token": [("tag", {"text": as_bytes(TEXTS)}), ("tag", {"text": as_bytes(["sea " * 80])})],
    "span": [
        ("answer", {"question": as_bytes([QUESTION] * 4), "context": as_bytes(CONTEXTS)}),
    ],
    "vector": [("embed", {"text": as_bytes(TEXTS)})],
    "mask": [
        ("fill", {"text": as_bytes(MASKED), "top_k": ("int32", 3)}),
        ("fill", {"text": as_bytes(["none"]), "top_k": ("int32", 3)}),
    ],
    "pair": [("next_sentence", {"text": as_bytes(TEXTS), "second": as_bytes(SECONDS)})],
}


@pytest.fixture(scope="module")
def models():
    # Under other backends each export takes a process; the graphs are TensorFlow's on all.
    models = all_tasks()
    return models if keras.backend.backend() == "tensorflow" else {"text": models["text"]}


@pytest.fixture(scope="module")
def served(models, tmp_path_factory):
    """`{task: [signatures, answer, ...]}` of another process."""
    folder = tmp_path_factory.mktemp("served")
    for name, model in models.items():
        zoo.export(model, folder / name)
    requests = {str(folder / name): CALLS[name] for name in models}
    (folder / "in.json").write_text(json.dumps(requests))
    command = [sys.executable, "-c", CONSUMER, folder / "in.json", folder / "out.json"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    results = json.loads((folder / "out.json").read_text())
    return {name: results[str(folder / name)] for name in models}


def answers(served, name):
    if name not in served:
        pytest.skip("Exported under TensorFlow only: the graphs are the same.")
    return served[name][1:]


def test_classes_and_probabilities(models, served):
    alone, pairs, long, empty, none = answers(served, "text")
    for texts, seen in ((TEXTS, alone), (list(zip(TEXTS, SECONDS, strict=True)), pairs)):
        expected = models["text"].predict_labels(texts)
        assert seen["label"] == [one["label"] for one in expected]
        assert seen["labels"] == LABELS
        np.testing.assert_allclose(
            seen["probabilities"],
            [list(one["probabilities"].values()) for one in expected],
            atol=1e-5,
        )
    with pytest.warns(UserWarning, match="were cut"):
        expected = models["text"].predict_labels(["sea " * 80])
    assert long["label"] == [expected[0]["label"]]
    assert empty["label"] == [models["text"].predict_labels(" ")["label"]]
    assert none["label"] == none["probabilities"] == []


def test_words_and_their_places(models, served):
    seen, long = answers(served, "token")
    for number, expected in enumerate(models["token"].tag(TEXTS)):
        count = len(expected)
        for key in ("label", "start", "end"):
            assert seen[key][number][:count] == [word[key] for word in expected]
        scores = [word["score"] for word in expected]
        np.testing.assert_allclose(seen["score"][number][:count], scores, atol=1e-5)
        assert set(seen["label"][number][count:]) <= {""}
    assert "must fit into the 46 that the context of 48 leaves; got" in long["error"]


def test_answers(models, served):
    (seen,) = answers(served, "span")
    assert "" in seen["text"]  # no answer
    assert len(set(seen["text"])) > 1
    for number, context in enumerate(CONTEXTS):
        expected = models["span"].answer(QUESTION, context)
        assert seen["text"][number] == expected["text"]
        for key in ("start", "end"):
            assert seen[key][number] == (-1 if expected[key] is None else expected[key])
        assert seen["score"][number] == pytest.approx(expected["score"], abs=1e-3)


def test_embeddings(models, served):
    (seen,) = answers(served, "vector")
    np.testing.assert_allclose(seen["embedding"], models["vector"].encode(TEXTS), atol=1e-5)


def test_masks(models, served):
    seen, none = answers(served, "mask")
    one, two = models["mask"].fill(MASKED, top_k=3)
    expected = [[one, [("", 0.0)] * 3], two]
    assert seen["token"] == [[[t for t, _ in mask] for mask in text] for text in expected]
    probabilities = [[[p for _, p in mask] for mask in text] for text in expected]
    np.testing.assert_allclose(seen["probability"], probabilities, atol=1e-5)
    assert "Each text must have a [MASK] to be filled" in none["error"]


def test_next_sentences(models, served):
    (seen,) = answers(served, "pair")
    rows = zip(TEXTS, SECONDS, strict=True)
    examples = RowFormat(word_pieces(), models["pair"].backbone).encode(list(rows))
    (inputs, *_) = examples.batch([0, 1, 2], max(examples.lengths))
    logits = models["pair"].predict_on_batch(inputs)["next_sentence"]
    expected = np.exp(logits[:, 0]) / np.exp(logits).sum(axis=-1)
    np.testing.assert_allclose(seen["probability"], expected, atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the graphs are TensorFlow's on all backends"
)
def test_no_rows_give_no_outputs(models):
    import tensorflow as tf

    from zoo.exporting.encoders import outputs_signature

    ids, mask = tf.zeros([0, 4], "int32"), tf.zeros([0, 4], "bool")
    outputs = outputs_signature(models["text"])(ids, ids, mask)
    assert outputs["logits"].shape == (0, len(LABELS))


def test_what_needs_offsets_needs_word_pieces(tmp_path):
    backbone = zoo.models.RoBERTa(tokenizer().vocab_size, 1, 2, 16, max_length=32)
    model = zoo.TokenClassifier(backbone, tokenizer(), labels=["a", "b"])
    with pytest.raises(ValueError, match="only a WordPiece tokenizer tells where its tokens stand"):
        zoo.export(model, tmp_path / "x")
