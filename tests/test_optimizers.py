"""Rates by layer and their rise, and what the usual optimizer of fine-tuning is."""

import keras
import numpy as np
import pytest

import zoo
from tests.distilled import PARTS, Y, classifier
from tests.models import with_weights
from zoo.optimizers import LayerwiseAdamW, for_fine_tuning, layerwise_adamw


def changes(optimizer, steps=1):
    """`{path: what steps changed}` of a classifier."""
    model = classifier(2)
    before = {w.path: np.array(keras.ops.convert_to_numpy(w)) for w in model.trainable_weights}
    model.compile(optimizer(model) if callable(optimizer) else optimizer)
    model.fit(PARTS, Y, epochs=steps, verbose=0, shuffle=False)
    return {w.path: keras.ops.convert_to_numpy(w) - before[w.path] for w in model.trainable_weights}


def test_each_layer_has_its_rate():
    # Without decay of weights a first step of Adam is the rate times the gradient's sign.
    found = changes(lambda m: layerwise_adamw(m, 1e-3, decay=0.5, weight_decay=0.0))
    expected = {"classifier": 1, "block_1": 0.5, "block_0": 0.25, "embedding_norm": 0.125}
    expected |= {"position_embedding": 0.125, "segment_embedding": 0.125}
    for path, change in found.items():
        factor = expected.get(path.split("/")[0])
        if factor and "qkv/bias" not in path:  # that of the keys has no gradient
            assert np.abs(change).max() == pytest.approx(1e-3 * factor, rel=0.02), path


def test_without_factors_and_rise_it_is_adamw():
    options = {"weight_decay": 0.1, "global_clipnorm": 1.0}
    ours = changes(LayerwiseAdamW(1e-2, **options), steps=3)
    theirs = changes(keras.optimizers.AdamW(1e-2, **options), steps=3)
    for path, change in ours.items():
        np.testing.assert_allclose(change, theirs[path], rtol=1e-3, atol=2e-6, err_msg=path)


def test_weights_decay_at_their_layers_rate():
    decayed = changes(lambda m: layerwise_adamw(m, 1e-3, decay=0.5, weight_decay=0.1))
    plain = changes(lambda m: layerwise_adamw(m, 1e-3, decay=0.5, weight_decay=0.0))
    before = {w.path: keras.ops.convert_to_numpy(w) for w in classifier(2).trainable_weights}
    for path, factor in (("block_0/attention/qkv/kernel", 0.25), ("classifier/kernel", 1)):
        lost = (plain[path] - decayed[path]) / before[path]
        np.testing.assert_allclose(lost, 1e-4 * factor, rtol=0.05)
    np.testing.assert_array_equal(decayed["classifier/bias"], plain["classifier/bias"])


def test_the_rate_rises_and_may_be_set():
    optimizer = LayerwiseAdamW(0.1, warmup_steps=4)
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    rates = []
    for _ in range(6):
        rates.append(float(optimizer.learning_rate))
        optimizer.iterations.assign_add(1)
    np.testing.assert_allclose(rates, [0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rtol=1e-6)
    optimizer.learning_rate = 0.01
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_comes_back_from_its_config():
    optimizer = layerwise_adamw(classifier(2), 1e-3, decay=0.5, warmup_steps=7)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert again.factors["block_0"] == 0.25
    assert again.warmup_steps == 7


@pytest.mark.backend_free
def test_the_usual_rate_suits_the_width():
    rates = [for_fine_tuning(width).get_config()["learning_rate"] for width in (1024, 768, 320, 64)]
    assert rates == pytest.approx([5e-5, 5e-5, 1.859e-4, 3e-4], rel=1e-3)


@pytest.mark.slow_to_compile
def test_the_usual_optimizer_does_not_stay_at_the_majority_class():
    rng = np.random.default_rng(0)
    words = [word for text in PARTS for word in text.split() if word not in ("captain", "late")]
    texts, labels = [], []
    for number in range(200):
        text = [words[i] for i in rng.integers(len(words), size=8)]
        label = "a" if number % 5 < 3 else "b"
        text[rng.integers(8)] = "captain" if label == "a" else "late"
        texts.append(" ".join(text))
        labels.append(label)
    keras.utils.set_random_seed(0)
    model = with_weights(classifier(1, width=32), 0.1)
    model.fit(texts, labels, epochs=20, verbose=0)
    assert model.evaluate(texts, labels, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="decay must be above 0 and at most 1; got 0"):
        layerwise_adamw(classifier(1), 1e-3, decay=0)
    with pytest.raises(ValueError, match="warmup_steps must be at least 0; got -1"):
        LayerwiseAdamW(warmup_steps=-1)
    with pytest.raises(ValueError, match="a LSTMSeq2Seq has none"):
        layerwise_adamw(zoo.Seq2SeqLM(zoo.models.LSTMSeq2Seq(9, 1, 4)), 1e-3)
