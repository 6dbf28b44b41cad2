"""Text classification, and what all tasks over texts share: buckets, freezing, weights."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_backbone, with_weights, word_pieces
from zoo.data.batches import LengthBuckets, padded_length

GOOD = ["the sea was calm", "it was the best of times", "calm", "the best sky was the sea"]
BAD = ["it was grey and late", "the worst of times", "late", "nobody laughed a grey long while"]
TEXTS, LABELS = GOOD + BAD, ["pos"] * 4 + ["neg"] * 4


def classifier(labels=("neg", "pos"), layers=1, **arguments):
    arguments = {"head_dropout": 0.0, **arguments}
    model = zoo.TextClassifier(tiny_backbone(num_layers=layers), word_pieces(), labels, **arguments)
    return with_weights(model)


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.mark.parametrize("pooling", ["first", "first_relu", "mean"])
def test_fit_learns_the_labels(pooling):
    keras.utils.set_random_seed(0)
    model = classifier(pooling=pooling)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(TEXTS, LABELS, batch_size=4, epochs=30, verbose=0)
    assert [result["label"] for result in model.predict_labels(TEXTS)] == LABELS
    assert model.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["accuracy"] == 1


def test_predictions_do_not_depend_on_the_batch(model):
    logits = model.predict(TEXTS, batch_size=3)
    assert logits.shape == (8, 2)
    for text, row in zip(TEXTS, logits, strict=True):
        np.testing.assert_allclose(model.predict(text)[0], row, rtol=1e-4, atol=1e-5)


def test_predict_labels_gives_probabilities(model):
    result = model.predict_labels("the sea was calm")
    assert result["label"] == max(result["probabilities"], key=result["probabilities"].get)
    assert sum(result["probabilities"].values()) == pytest.approx(1)
    assert model.predict_labels(["the sea was calm"]) == [result]


def test_pairs_are_two_segments(model):
    pairs = [("the sea", "was calm"), ("it was", "late")]
    examples = model.examples(pairs)
    ids = word_pieces().encode("the sea")
    assert examples.inputs["segment_ids"][0].sum() == len(word_pieces().encode("was calm")) + 1
    assert examples.inputs["token_ids"][0][: len(ids) + 2].tolist() == [
        word_pieces().start_id,
        *ids,
        word_pieces().end_id,
    ]
    model.fit(pairs, ["pos", "neg"], verbose=0)
    assert len(model.predict_labels(pairs)) == 2


def test_roberta_pairs_have_two_separators():
    backbone = tiny_backbone(zoo.models.RoBERTa)
    model = zoo.TextClassifier(backbone, word_pieces(), labels=["a", "b"])
    (row,) = model.examples([("the sea", "was")]).inputs["token_ids"]
    assert (row == word_pieces().end_id).sum() == 3
    assert "segment_ids" not in model.examples(["the"]).inputs


def test_class_weights_and_sample_weights_multiply(model):
    examples = model.examples(
        TEXTS, LABELS, sample_weight=np.arange(8.0), class_weight={"neg": 2.0}
    )
    np.testing.assert_array_equal(examples.weights, [0, 1, 2, 3, 8, 10, 12, 14])


def test_weights_decide_the_loss(model):
    only_first = [1, 0, 0, 0, 0, 0, 0, 0]
    one = model.evaluate(TEXTS[:1], LABELS[:1], verbose=0, return_dict=True)
    weighted = model.evaluate(
        TEXTS, LABELS, sample_weight=only_first, verbose=0, return_dict=True, batch_size=8
    )
    assert weighted["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow_to_compile
def test_validation_and_early_stopping(model):
    stop = keras.callbacks.EarlyStopping(patience=0, monitor="val_loss", min_delta=100.0)
    history = model.fit(
        TEXTS, LABELS, epochs=9, validation_split=0.25, callbacks=[stop], verbose=0
    ).history
    assert len(history["loss"]) == 2
    history = model.fit(TEXTS, LABELS, validation_data=(TEXTS, LABELS), verbose=0).history
    assert "val_accuracy" in history


def test_arrays_pass_through(model):
    ids = np.array([[2, 9, 3, 0], [2, 9, 8, 3]], "int32")
    inputs = {"token_ids": ids, "padding_mask": ids > 0, "segment_ids": np.zeros_like(ids)}
    model.fit(inputs, np.array([0, 1]), verbose=0)
    assert model.predict(inputs, verbose=0).shape == (2, 2)


@pytest.mark.parametrize(("what", "blocks"), [("backbone", 0), (1, 1), (0, 0), (2, 2), (None, 2)])
def test_freezing(what, blocks):
    model = classifier(layers=2)
    model.freeze(what)
    trained = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert {"pooler", "classifier"} <= trained
    assert sum(name.startswith("block_") for name in trained) == blocks
    assert ("token_embedding" in trained) is (what is None)


def test_what_is_frozen_stays():
    model = classifier()
    model.freeze("backbone")
    before = [ops.convert_to_numpy(w) for w in model.backbone.weights]
    head = ops.convert_to_numpy(model.weights[-1])
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(TEXTS, LABELS, verbose=0)
    for weight, old in zip(model.backbone.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), old)
    assert np.abs(ops.convert_to_numpy(model.weights[-1]) - head).max() > 0


def test_saved_with_its_labels(tmp_path, model):
    zoo.save(model, tmp_path / "m")
    other = zoo.load(tmp_path / "m")
    assert other.labels == ("neg", "pos")
    np.testing.assert_allclose(other.predict(TEXTS), model.predict(TEXTS), rtol=1e-4, atol=1e-6)
    frozen = zoo.load(tmp_path / "m", freeze="backbone")
    assert not frozen.backbone.trainable_weights


def test_a_keras_file_keeps_everything(tmp_path):
    model = classifier()
    model.fit(TEXTS, LABELS, verbose=0)
    model.save(tmp_path / "m.keras")
    other = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(other.predict(TEXTS), model.predict(TEXTS), rtol=1e-5, atol=1e-6)
    assert int(other.optimizer.iterations) == int(model.optimizer.iterations)


def test_long_texts_are_cut_with_one_warning(model):
    with pytest.warns(UserWarning, match="2 of 3 texts were longer than the model's 32 tokens"):
        examples = model.examples(["sea " * 50, "calm", "sky " * 40])
    assert examples.lengths.tolist() == [32, 3, 32]
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        (row,) = model.examples([("sea " * 50, "calm")]).inputs["token_ids"]
    assert row[-3:-1].tolist() != [word_pieces().end_id] * 2
    assert len(row) == 32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(TEXTS, ["pos"] * 7), "label for each text; got 7 for 8 texts"),
        (lambda m: m.fit(TEXTS), "label for each text; got none"),
        (lambda m: m.fit(["a b"], ["poss"]), "among 'neg', 'pos'; got 'poss' at position 0. Did"),
        (lambda m: m.fit(["a b"], [2]), "among 'neg', 'pos'; got 2 at position 0"),
        (lambda m: m.fit(["", " "], ["pos", "neg"]), "nothing to learn from: 2 texts without a"),
        (lambda m: m.fit([], []), "with something in it"),
        (lambda m: m.predict_labels([]), "with something in it"),
        (lambda m: m.freeze("all"), "freeze must be 'backbone', None, or"),
        (lambda m: m.freeze(3), "from 0 to 1; got 3"),
        (lambda m: m.fit(TEXTS, LABELS, class_weight={"x": 1.0}), "among 'neg', 'pos'; got 'x'"),
        (lambda m: m.fit(TEXTS, LABELS, validation_split=0.99), "leaves rows on both sides"),
        (lambda m: classifier(labels=["a"]), "at least two different names; got"),
        (lambda m: classifier(labels=["a", "a"]), "at least two different names"),
        (lambda m: classifier(labels=["a", ""]), "a str that is not empty; got ''"),
        (
            lambda m: classifier(pooling="max"),
            "pooling must be one of first, first_relu, mean, last, last_tanh; got 'max'",
        ),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_bad_input_is_refused(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


@pytest.mark.backend_free
def test_no_tokenizer_no_text():
    model = zoo.TextClassifier(tiny_backbone(), labels=["a", "b"])
    with pytest.raises(ValueError, match="has no tokenizer"):
        model.fit(["a"], ["a"])


@pytest.mark.backend_free
def test_buckets_hold_every_row_once_with_little_padding(model):
    texts = [" ".join(["sea"] * (1 + i % 20)) for i in range(100)]
    examples = model.examples(texts)
    buckets = LengthBuckets(examples, 10, shuffle=True, max_length=32, seed=1)

    def planned():
        return buckets._plan_of(buckets.epoch)

    seen = [row for rows in planned() for row in rows]
    assert sorted(seen) == list(range(100))
    padded = sum(
        examples.batch(p, max(examples.lengths[p]))[0]["token_ids"].size for p in planned()
    )
    assert padded < 1.2 * examples.lengths.sum()
    first = [p.tolist() for p in planned()]
    buckets.set_epoch(1)
    assert first != [p.tolist() for p in planned()]
    buckets.set_epoch(0)
    assert first == [p.tolist() for p in planned()]


def test_lengths_on_jax_are_few():
    lengths = {padded_length(n, 512) for n in range(1, 513)}
    if keras.backend.backend() == "jax":
        assert lengths == {16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512}
    else:
        assert len(lengths) == 512


def test_no_warning_in_ordinary_use(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # of Keras, see pyproject.toml
        model.fit(TEXTS, LABELS, verbose=0)
        model.predict_labels(TEXTS)
