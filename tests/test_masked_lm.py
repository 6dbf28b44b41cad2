"""Masked language modelling and BERT's two objectives together."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import TEXTS, tiny_backbone, with_weights, word_pieces
from zoo.data.rows import RowFormat
from zoo.layers import token_nats
from zoo.tasks.masked_lm import packed_rows

LOREM = ["The sea was calm. The sky was grey. Nobody spoke.", "It was late! Was it? It was."] * 4


def masked_lm(**arguments):
    return with_weights(zoo.MaskedLM(tiny_backbone(), word_pieces(), **arguments))


def pretrainer(**arguments):
    return with_weights(zoo.BertPretrainer(tiny_backbone(), word_pieces(), **arguments))


@pytest.fixture(scope="module")
def model():
    return masked_lm(sequence_length=16)


def test_only_masked_positions_are_projected(model):
    ids = np.arange(20, dtype="int32").reshape(2, 10)
    positions = np.array([[1, 4, 0], [2, 3, 9]], "int32")
    everywhere = ops.convert_to_numpy(model(ids))
    some = ops.convert_to_numpy(model({"token_ids": ids, "masked_positions": positions}))
    assert everywhere.shape == (2, 10, word_pieces().vocab_size)
    expected = np.take_along_axis(everywhere, positions[:, :, None], axis=1)
    np.testing.assert_allclose(some, expected, rtol=1e-5, atol=1e-5)


def test_the_loss_is_the_mean_over_masked_tokens(model):
    batches = model.batches(LOREM, 3, seed=0, is_fixed=True)
    nats, count, hits = 0.0, 0.0, 0.0
    for inputs, labels, weight in (batches[i] for i in range(len(batches))):
        logits = model(inputs)
        nats += (ops.convert_to_numpy(token_nats(labels, logits)) * weight).sum()
        hits += ((ops.convert_to_numpy(logits).argmax(-1) == labels) * weight).sum()
        count += weight.sum()
    logs = model.evaluate(LOREM, batch_size=3, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], nats / count, rtol=1e-5)
    np.testing.assert_allclose(logs["perplexity"], np.exp(nats / count), rtol=1e-4)
    np.testing.assert_allclose(logs["accuracy"], hits / count, rtol=1e-5)


def test_masks_are_drawn_anew_in_each_epoch_and_fixed_for_evaluation(model):
    moving, fixed = model.batches(LOREM, 4), model.batches(LOREM, 4, seed=0, is_fixed=True)

    def read(batches, epoch):
        batches.set_epoch(epoch)
        return np.concatenate([batches[i][0]["token_ids"] for i in range(len(batches))])

    assert not np.array_equal(read(moving, 0), read(moving, 1))
    np.testing.assert_array_equal(read(moving, 1), read(moving, 1))
    np.testing.assert_array_equal(read(fixed, 0), read(fixed, 1))


def test_fit_learns_to_fill():
    keras.utils.set_random_seed(0)
    model = masked_lm(sequence_length=16)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    history = model.fit(LOREM, batch_size=4, epochs=40, verbose=0, validation_data=LOREM).history
    assert history["val_loss"][-1] < 0.5 * history["val_loss"][0]


def test_fill_gives_tokens_with_probabilities(model):
    (token, best), *others = model.fill("the [MASK] was calm", top_k=4)
    assert isinstance(token, str)
    assert len(others) == 3
    assert 1 > best >= others[0][1] >= others[-1][1] > 0
    two = model.fill(["the [MASK] was [MASK]", "a [MASK]"], top_k=2)
    assert [len(two[0]), len(two[0][0]), len(two[1])] == [2, 2, 2]
    everything = model.fill("the [MASK] was", top_k=word_pieces().vocab_size)
    assert sum(p for _, p in everything) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.fill("no mask here"),
            r"must have a \[MASK\] to be filled; got 'no mask here'",
        ),
        (lambda m: m.fill("[MASK]", top_k=0), "top_k must be a whole number of at least 1; got 0"),
        (lambda m: m.fill("word " * 40 + "[MASK]"), "must fit into 30 tokens; got 81"),
        (lambda m: m.fit([]), "with something in it"),
        (lambda m: m.fit(["", " "]), "2 texts without a token"),
        (lambda m: m.fit(np.full((2, 4), 9999)), "Token ids must be from 0 to"),
    ],
    ids=["no mask", "top_k", "long", "nothing", "empty", "ids"],
)
def test_bad_input_is_refused(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_a_tokenizer_without_mask_is_refused():
    from tests.models import tokenizer

    backbone = zoo.models.BERT(tokenizer().vocab_size, 1, 2, 16, max_length=32)
    model = zoo.MaskedLM(backbone, tokenizer())
    with pytest.raises(ValueError, match=r"needs a tokenizer with a token such as \[MASK\]"):
        model.fit(["a b c"])


@pytest.mark.backend_free
def test_packed_rows_hold_every_token_once():
    form = RowFormat(word_pieces(), tiny_backbone())
    documents = word_pieces().encode(list(TEXTS))
    ids, mask, _ = packed_rows(documents, 16, form)
    assert ids.shape[1] == 16
    assert (ids[:, 0] == form.start_id).all()
    inner = [row[keep][1:-1] for row, keep in zip(ids, mask, strict=True)]
    stream = [t for row in inner for t in row.tolist() if t != form.separator_id]
    assert stream == [t for document in documents for t in document]


@pytest.mark.slow_to_compile
def test_pretraining_reports_both_objectives():
    keras.utils.set_random_seed(0)
    model = pretrainer(sequence_length=24)
    model.compile(optimizer=keras.optimizers.Adam(2e-3))
    names = [
        "masked_lm_accuracy",
        "masked_lm_loss",
        "next_sentence_accuracy",
        "next_sentence_loss",
    ]
    first = model.evaluate(LOREM, verbose=0, return_dict=True)
    assert sorted(first) == sorted(["loss", *names])
    history = model.fit(LOREM, batch_size=8, epochs=15, verbose=0, validation_data=LOREM).history
    assert {f"val_{name}" for name in names} <= history.keys()
    last = model.evaluate(LOREM, verbose=0, return_dict=True)
    assert last["masked_lm_loss"] < 0.7 * first["masked_lm_loss"]
    assert last == model.evaluate(LOREM, verbose=0, return_dict=True)


def test_the_objectives_are_means_over_their_own_items():
    model = pretrainer(sequence_length=24)
    batches = model.batches(LOREM, 3, 0, True)
    nats, pairs = 0.0, 0
    for inputs, labels, _ in (batches[i] for i in range(len(batches))):
        logits = model(inputs)["next_sentence"]
        nats += ops.convert_to_numpy(token_nats(labels["next_sentence"], logits)).sum()
        pairs += len(labels["next_sentence"])
    logs = model.evaluate(LOREM, batch_size=3, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["next_sentence_loss"], nats / pairs, rtol=1e-5)


def test_one_document_cannot_be_paired():
    with pytest.raises(ValueError, match="at least two documents"):
        pretrainer().fit("One text. It is alone.")


@pytest.mark.slow_to_compile
def test_presets_carry_heads_from_task_to_task(tmp_path):
    model = pretrainer()
    zoo.save(model, tmp_path / "p")
    ids = np.array([[2, 7, 4, 9, 3]], "int32")
    filled = ops.convert_to_numpy(model(ids)["masked_lm"])
    masked = zoo.load(tmp_path / "p", task="masked_lm")
    np.testing.assert_array_equal(ops.convert_to_numpy(masked(ids)), filled)
    classifier = zoo.load(tmp_path / "p", task="text_classification", labels=["a", "b"])
    pooled, again = (
        next(ops.convert_to_numpy(w) for w in m.weights if w.path == "pooler/dense/kernel")
        for m in (model, classifier)
    )
    np.testing.assert_array_equal(pooled, again)
    zoo.save(masked, tmp_path / "m")
    with pytest.warns(UserWarning, match="no weights for next_sentence, pooler, which start at"):
        zoo.load(tmp_path / "m", task="pretraining")
    with pytest.raises(ValueError, match="the task of a bert model must be one of masked_lm"):
        zoo.load(tmp_path / "m", task="causal_lm")


def test_class_weights_are_of_the_tokens_that_are_hidden(model):
    model = zoo.MaskedLM(model.backbone, model.tokenizer, mask_rate=0.5)
    texts = ["the sea was calm and the sky was grey"] * 4
    loss = lambda **how: model.fit(texts, verbose=0, **how).history["loss"][0]  # noqa: E731
    model.compile(keras.optimizers.SGD(0.0))
    every = dict.fromkeys(range(model.tokenizer.vocab_size), 0.0)
    assert loss(class_weight=every) == 0
    examples = model.examples(texts, class_weight={"the": 3.0, 7: 0.5}, sample_weight=[2, 1, 1, 1])
    ids, weights = examples["token_ids"], examples["weights"]
    the = model.tokenizer.token_to_id("the")
    assert set(weights[0][ids[0] == the]) <= {3.0, 6.0}
    for wrong, message in (({"nothere": 1.0}, "'nothere' is no token"), ("balanced", "a dict")):
        with pytest.raises(ValueError, match=message):
            loss(class_weight=wrong)
    with pytest.raises(ValueError, match="class_weight goes with data in memory"):
        model.fit(iter(texts), class_weight={"the": 2.0})
    with pytest.raises(ValueError, match="class_weight weighs tokens of text"):
        model.fit(np.ones((2, 4), "int32"), np.ones((2, 4)), class_weight={"the": 2.0})
