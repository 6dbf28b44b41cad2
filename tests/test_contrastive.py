"""Sentence vectors from texts without labels."""

import keras
import numpy as np
import pytest
from zoo.training.contrastive import alignment, triplets_of_labels, twins, uniformity

import zoo
from tests.models import TEXTS, tiny_backbone, with_weights, word_pieces

SENTENCES = [part for text in TEXTS[:2] for part in text.replace("“", "").split(". ")]
SENTENCES += ["nobody spoke", "the captain laughed", "calm sea", "grey sky", "late as ever"]


def embedder(dropout=0.1):
    return with_weights(zoo.TextEmbedder(tiny_backbone(dropout=dropout), word_pieces()), scale=0.2)


@pytest.mark.slow_to_compile
def test_twins_spread_the_vectors_out():
    keras.utils.set_random_seed(0)
    model = embedder()
    pairs = twins(model, [*SENTENCES, SENTENCES[0], " "])
    assert pairs == [(text, text) for text in dict.fromkeys(SENTENCES)]
    before = uniformity(model.encode(SENTENCES))
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(pairs, batch_size=16, epochs=15, verbose=0)
    assert uniformity(model.encode(SENTENCES)) < before - 0.3
    assert model.evaluate(pairs, verbose=0, return_dict=True)["accuracy"] == 1


@pytest.mark.backend_free
def test_triplets_are_of_one_label_and_another():
    texts = [f"text {i}" for i in range(12)]
    labels = ["a"] * 5 + ["b"] * 6 + ["c"]
    of = dict(zip(texts, labels, strict=True))
    triplets = triplets_of_labels(texts, labels, count=3, seed=1)
    assert len(triplets) == 11 * 3  # the only c is first of none
    for first, near, far in triplets:
        assert first != near
        assert of[first] == of[near] != of[far]
    assert {far for *_, far in triplets} >= {"text 11"}
    assert triplets == triplets_of_labels(texts, labels, count=3, seed=1)
    assert triplets != triplets_of_labels(texts, labels, count=3, seed=2)


@pytest.mark.backend_free
def test_measures_of_vectors():
    angles = np.linspace(0, 2 * np.pi, 5)[:4]
    square = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert alignment(square, square) == 0
    assert alignment(square, -square) == pytest.approx(4)
    # Of 6 pairs 4 are neighbours at distance sqrt(2), 2 opposite at distance 2.
    assert uniformity(square) == pytest.approx(np.log((4 * np.exp(-4) + 2 * np.exp(-8)) / 6))
    assert uniformity(np.ones((3, 1))) == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: twins(embedder(0.0), SENTENCES), "dropout alone, and this model has none"),
        (lambda: twins(embedder(), ["a", "a"]), "others? texts as negatives; got 1 different"),
        (lambda: triplets_of_labels(["a"], ["x", "y"]), "got 1 texts, 2 labels"),
        (lambda: triplets_of_labels(["a", "b"], ["x", "y"]), "got 2 texts of 2 labels"),
        (lambda: uniformity(np.ones((1, 2))), "there must be two; got 1"),
    ],
    ids=["no dropout", "one text", "lengths", "labels", "one vector"],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
