"""Text embeddings."""

import keras
import numpy as np
import pytest

import zoo
from tests.models import TEXTS, tiny_backbone, with_weights, word_pieces

PAIRS = [
    ("the sea was calm", "calm sea"),
    ("it was late", "a late while"),
    ("the captain laughed", "captain"),
    ("the best of times", "best times"),
]


def embedder(**arguments):
    return with_weights(zoo.TextEmbedder(tiny_backbone(), word_pieces(), **arguments), scale=0.2)


@pytest.fixture(scope="module")
def model():
    return embedder()


def test_vectors_have_length_1_and_do_not_depend_on_the_batch(model):
    texts = ["the sea", "a", "it was the best of times, it was the worst of times"]
    vectors = model.encode(texts, batch_size=2)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(model.encode(text), vector, rtol=1e-4, atol=1e-5)


def test_similarity_is_the_cosine(model):
    assert model.similarity("the sea", "the sea") == pytest.approx(1, rel=1e-5)
    table = model.similarity(["the sea", "late"], ["the sea", "late", "calm"])
    assert table.shape == (2, 3)
    assert table[1, 1] == pytest.approx(1, rel=1e-5)


def test_fit_brings_partners_together():
    keras.utils.set_random_seed(0)
    model = embedder()
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    before = model.evaluate(PAIRS, verbose=0, return_dict=True)
    history = model.fit(PAIRS, batch_size=4, epochs=30, verbose=0, validation_data=PAIRS).history
    assert history["val_loss"][-1] < 0.3 * before["loss"]
    assert model.evaluate(PAIRS, verbose=0, return_dict=True)["accuracy"] == 1
    table = model.similarity([a for a, _ in PAIRS], [b for _, b in PAIRS])
    assert table.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_saved_and_loaded(tmp_path, model):
    zoo.save(model, tmp_path / "m")
    other = zoo.load(tmp_path / "m")
    np.testing.assert_allclose(other.encode("the sea"), model.encode("the sea"), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(list(TEXTS)), r"a list of \(text, text\) or .* got single texts"),
        (lambda m: m.fit([("a", " ")]), "nothing to learn from: 1 texts without a token"),
        (lambda m: m.encode([]), "with something in it"),
    ],
    ids=["single", "empty", "nothing"],
)
def test_bad_input_is_refused(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)
