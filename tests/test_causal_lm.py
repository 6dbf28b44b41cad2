"""The causal LM task: what it takes, and that its numbers are what they say."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import TEXTS, VOCAB_SIZE, random_ids, tiny_gpt, tokenizer


@pytest.fixture(scope="module")
def model():
    return tiny_gpt()


def nats_by_hand(model, x, y):
    logits = ops.convert_to_numpy(model(x)).astype("float64")
    log_z = np.log(np.exp(logits).sum(-1))
    return log_z - np.take_along_axis(logits, y[..., None], -1)[..., 0]


def test_evaluate_reports_nats_per_real_token(model):
    x, y = random_ids(6, 12), random_ids(6, 12, seed=1)
    weight = (np.random.default_rng(2).random((6, 12)) > 0.6).astype("float32")
    weight[:2] = 0  # a batch of padding alone must not count as a batch
    weight[2] *= 3
    nats = nats_by_hand(model, x, y)
    logs = model.evaluate(x, y, sample_weight=weight, batch_size=2, return_dict=True, verbose=0)
    expected = (nats * weight).sum() / weight.sum()
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["perplexity"] == pytest.approx(np.exp(expected), rel=1e-4)
    right = ops.convert_to_numpy(model(x)).argmax(-1) == y
    assert logs["accuracy"] == pytest.approx((right * weight).sum() / weight.sum(), abs=1e-6)


def test_padding_on_the_right_changes_no_number(model):
    ids = random_ids(2, 10)
    alone = model.evaluate(ids, return_dict=True, verbose=0)
    padded = np.concatenate([ids, random_ids(2, 7, seed=3)], axis=1)
    mask = np.arange(17) < np.array([[10], [10]])
    inputs = {"token_ids": padded, "padding_mask": mask}
    assert model.evaluate(inputs, return_dict=True, verbose=0) == pytest.approx(alone, rel=1e-5)


@pytest.mark.slow_to_compile
def test_text_is_evaluated_to_its_last_token(model):
    logs = model.evaluate(list(TEXTS), return_dict=True, verbose=0)
    stream = [0, *(t for text in TEXTS for t in [*tokenizer().encode(text), 0])]
    rows = [stream[i : i + 65] for i in range(0, len(stream) - 1, 64)]
    nats = np.concatenate(
        [nats_by_hand(model, np.array([r[:-1]]), np.array([r[1:]]))[0] for r in rows]
    )
    assert len(nats) == len(stream) - 1
    assert logs["loss"] == pytest.approx(nats.mean(), rel=1e-5)


def test_score_counts_every_token_of_a_text(model):
    texts = ["It was", "", "The captain laughed."]
    nats, num_tokens = model.score(texts)
    for text, nat, count in zip(texts, nats, num_tokens, strict=True):
        ids = np.array([[0, *tokenizer().encode(text)]])
        assert count == ids.shape[1] - 1
        expected = nats_by_hand(model, ids[:, :-1], ids[:, 1:]).sum() if count else 0
        assert nat == pytest.approx(expected, rel=1e-5)


def test_no_texts_have_no_scores(model):
    nats, num_tokens = model.score([])
    assert nats.shape == num_tokens.shape == (0,)


SLOW = pytest.mark.slow_to_compile
LIKE_OTHERS = [pytest.param(kind, marks=SLOW) for kind in ("string", "ids", "dict", "xy")]


@pytest.mark.parametrize("kind", ["strings", "generator", "pydataset", *LIKE_OTHERS])
def test_fit_takes_text_arrays_and_datasets_and_learns(kind):
    model = tiny_gpt(scale=0.1)
    ids = random_ids(4, 17)

    class Dataset(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            rows = ids[2 * index : 2 * index + 2]
            return rows[:, :-1], rows[:, 1:]

    data, arguments = {
        "strings": ((list(TEXTS),), {}),
        "string": ((TEXTS[0],), {}),
        "ids": ((ids,), {}),
        "dict": (({"token_ids": ids, "padding_mask": np.ones_like(ids)},), {}),
        "xy": ((ids[:, :-1], ids[:, 1:]), {}),
        "generator": (
            ((d for _ in range(20) for d in Dataset()),),
            {"steps_per_epoch": 2, "shuffle": False},
        ),
        "pydataset": ((Dataset(workers=1),), {}),
    }[kind]
    model.compile(optimizer=keras.optimizers.AdamW(1e-2))
    if kind != "generator":
        arguments["batch_size"] = None if kind == "pydataset" else 2
    history = model.fit(*data, epochs=5, verbose=0, **arguments).history
    assert history.keys() == {"loss", "perplexity", "accuracy"}
    assert history["loss"][-1] < history["loss"][0]


def test_validation_data_may_be_text():
    model = tiny_gpt()
    for held_out in (TEXTS[1], [TEXTS[1]], (random_ids(1, 64), random_ids(1, 64))):
        history = model.fit(list(TEXTS), validation_data=held_out, batch_size=2, verbose=0).history
        assert "val_perplexity" in history


def test_predict_gives_logits_for_text_and_ids(model):
    logits = model.predict(list(TEXTS[1:]), verbose=0)
    longest = max(len(ids) for ids in tokenizer().encode(list(TEXTS[1:])))
    assert logits.shape == (2, longest, VOCAB_SIZE)
    ids = np.array([tokenizer().encode(TEXTS[1])])
    np.testing.assert_allclose(logits[:1, : ids.shape[1]], model.predict(ids, verbose=0), atol=1e-5)


def test_a_mask_may_be_left_out_or_given(model):
    ids = random_ids(2, 5)
    plain = ops.convert_to_numpy(model(ids))
    for inputs in (
        {"token_ids": ids},
        {"token_ids": ids, "padding_mask": None},
        {"token_ids": ids, "padding_mask": np.ones((2, 5))},
    ):
        np.testing.assert_allclose(ops.convert_to_numpy(model(inputs)), plain, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_trains_in_mixed_precision(dtype):
    model = tiny_gpt(scale=0.1, dtype=dtype)
    history = model.fit(random_ids(8, 17), batch_size=4, epochs=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
    assert np.isfinite(model.predict(random_ids(2, 5), verbose=0)).all()


def test_gradient_accumulation_and_class_api_are_those_of_keras():
    model = tiny_gpt(scale=0.1)
    optimizer = keras.optimizers.AdamW(1e-2, gradient_accumulation_steps=2)
    model.compile(optimizer=optimizer, run_eagerly=False)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1)
    ids = random_ids(8, 9)
    model.fit(
        ids, batch_size=2, epochs=2, verbose=0, validation_data=(ids[:2], ids[:2]), callbacks=[stop]
    )
    assert int(ops.convert_to_numpy(optimizer.iterations)) > 0


@pytest.mark.slow_to_compile
def test_gpt_starts_as_gpt_2_does():
    model = zoo.models.GPT(vocab_size=500, num_layers=8, num_heads=4, hidden_dim=64)
    weights = {w.path: ops.convert_to_numpy(w.value) for w in model.weights}
    expected = {
        "token_embedding/embeddings": 0.02,
        "position_embedding/embeddings": 0.01,
        "block_3/attention/qkv/kernel": 0.02,
        "block_3/attention/output/kernel": 0.02 / 4,
        "block_3/feed_forward/inner/kernel": 0.02,
        "block_3/feed_forward/outer/kernel": 0.02 / 4,
    }
    for path, stddev in expected.items():
        assert weights[path].std() == pytest.approx(stddev, rel=0.1)
    assert not weights["block_3/attention/qkv/bias"].any()
    fresh = zoo.CausalLM(model).evaluate(random_ids(4, 33), return_dict=True, verbose=0)
    assert fresh["loss"] == pytest.approx(np.log(500), rel=0.02)


def test_bad_input_is_one_clear_sentence(model):
    with pytest.raises(ValueError, match=r"Token ids must be from 0 to 299.*got 300"):
        model.fit(np.full((2, 5), 300))
    with pytest.raises(ValueError, match=r"Token ids must be from 0 to 299.*got -1"):
        model.predict(np.full((2, 5), -1))
    with pytest.raises(ValueError, match="must fit into the context of 64 tokens; got 65"):
        model.predict(random_ids(1, 65))
    with pytest.raises(ValueError, match="must fit into the context of 64 tokens"):
        model.score(["word " * 200])
    with pytest.raises(ValueError, match=r"whole numbers; got shape .* and dtype float"):
        model.fit(np.zeros((2, 5)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"with something in it; got \[\]"):
        model.fit([])
    with pytest.raises(ValueError, match=r"with something in it; got \[\]"):
        model.predict([])
    with pytest.raises(ValueError, match="at least one document with a token"):
        model.fit(["", ""])
    with pytest.raises(TypeError, match="bytes"):
        model.fit([b"raw"])
    with pytest.raises(TypeError, match="int"):
        model.evaluate(["text", 3])
    with pytest.raises(ValueError, match="has no tokenizer, so it takes token ids"):
        tiny_gpt(with_tokenizer=False).fit(["text"])
    with pytest.raises(ValueError, match=r"sequence_length must be between 1 and .* 64; got 65"):
        zoo.CausalLM(model.backbone, sequence_length=65)
    small = zoo.models.GPT(vocab_size=10, num_layers=1, num_heads=1, hidden_dim=4)
    with pytest.raises(ValueError, match="tokenizer's 300 tokens must all be in the backbone's"):
        zoo.CausalLM(small, tokenizer())
