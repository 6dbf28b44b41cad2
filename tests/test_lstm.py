"""The LSTM family: one state a row, carried from token to token and from batch to batch."""

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import (
    TEXTS,
    VOCAB_SIZE,
    random_ids,
    tiny_gpt,
    tiny_lstm,
    tokenizer,
    with_weights,
    word_pieces,
)
from zoo.generation import Temperature
from zoo.objectives import ContinuedCausalLM, continued_rows

PROMPTS = [[1, 2, 3], [4] * 20, [7]]


@pytest.fixture(scope="module")
def model():
    return tiny_lstm()


@pytest.fixture(scope="module")
def stateful():
    """A model that reads windows of 8 tokens, and is not trained."""
    return tiny_lstm(
        with_tokenizer=False,
        num_layers=1,
        task_arguments={"sequence_length": 8, "stateful": True},
    )


def to_numpy(x):
    return ops.convert_to_numpy(x)


def hidden(backbone, inputs):
    """Compiled, which is faster than step by step on JAX."""
    return backbone.predict_on_batch(inputs)


def logits(model, row):
    """Of a 1-d row, with padding behind it: each length would be compiled anew."""
    padded = np.pad(np.asarray(row), (0, 192 - len(row)))
    return model.predict_on_batch(padded[None])[0, : len(row)].astype("float64")


def nats(model, row):
    """Of all tokens of a 1-d row but the first, read in one go."""
    found = logits(model, row[:-1])
    return np.log(np.exp(found).sum(-1)) - found[np.arange(len(found)), row[1:]]


# The backbone


def test_hidden_states_are_causal_and_ignore_padding(model):
    ids = random_ids(2, 10)
    whole = hidden(model.backbone, ids)
    changed = ids.copy()
    changed[:, 6:] = 5
    mask = np.arange(10) < np.array([[6], [6]])
    for inputs in (changed, {"token_ids": changed, "padding_mask": mask}):
        np.testing.assert_allclose(hidden(model.backbone, inputs)[:, :6], whole[:, :6], atol=1e-6)


def test_a_bidirectional_one_sees_everything_but_padding():
    backbone = with_weights(zoo.models.LSTM(VOCAB_SIZE, 1, 16, bidirectional=True), 0.5)
    ids, mask = random_ids(1, 10), np.arange(10)[None] < 7
    found = hidden(backbone, {"token_ids": ids, "padding_mask": mask})[:, :7]
    np.testing.assert_allclose(found, hidden(backbone, ids[:, :7]), atol=1e-6)
    for place, changes in ((6, True), (7, False)):
        other = ids.copy()
        other[0, place] += 1
        moved = hidden(backbone, {"token_ids": other, "padding_mask": mask})[:, :7] - found
        assert (np.abs(moved)[0, 0].max() > 1e-5) == changes


def test_dropouts_act_in_training_alone():
    rates = {"dropout": 0.5, "input_dropout": 0.3, "word_dropout": 0.2, "weight_dropout": 0.5}
    backbone = zoo.models.LSTM(VOCAB_SIZE, 1, 16, **rates)
    plain = zoo.models.LSTM(VOCAB_SIZE, 1, 16, dropout=0.0)
    plain.set_weights(backbone.get_weights())
    ids = random_ids(2, 6)
    np.testing.assert_array_equal(hidden(backbone, ids), hidden(plain, ids))
    trained = to_numpy(backbone(ids, training=True))
    assert not np.array_equal(trained, to_numpy(backbone(ids, training=True)))
    is_dropped = (trained == 0).all(axis=1)
    assert 0 < is_dropped.sum() < is_dropped.size  # whole features of a row
    np.testing.assert_allclose(to_numpy(plain(ids, training=True)), hidden(plain, ids), atol=1e-6)


def test_it_starts_as_it_says():
    backbone = zoo.models.LSTM(500, 2, 64, inner_dim=96)
    spread = {w.path: to_numpy(w.value).std() for w in backbone.weights}
    assert spread["token_embedding/embeddings"] == pytest.approx(64**-0.5, rel=0.1)
    assert spread["lstm_0/kernel"] == pytest.approx(288**-0.5, rel=0.1)
    assert spread["lstm_1/recurrent_kernel"] == pytest.approx(192**-0.5, rel=0.1)
    fresh = nats(zoo.CausalLM(backbone), random_ids(1, 100)[0]).mean()
    assert fresh == pytest.approx(np.log(500), rel=0.02)


# Generation


def test_cached_hidden_states_equal_uncached(model):
    ids, backbone = random_ids(2, 12), model.backbone
    states, cache = backbone.call_with_cache(ids[:, :5], backbone.make_cache(2, 16), 0)
    pieces = [to_numpy(states)]
    for piece in (ids[:, 5:6], ids[:, 6:11], ids[:, 11:]):
        states, cache = backbone.call_with_cache(piece, cache)
        pieces.append(to_numpy(states))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), hidden(backbone, ids), atol=1e-6)


def test_greedy_ids_are_the_argmax_of_the_whole_model_for_each_prompt():
    model = tiny_lstm(with_tokenizer=False)  # nothing ends a row early
    expected = []
    for prompt in PROMPTS:
        ids = list(prompt)
        for _ in range(6):
            ids.append(int(logits(model, ids)[-1].argmax()))
        expected.append(ids)
    assert model.generate(PROMPTS, max_new_tokens=6) == expected


@pytest.mark.slow_to_compile
def test_a_batch_and_a_stream_give_what_a_prompt_gives_alone(model):
    arguments = {"max_new_tokens": 10, "sampler": Temperature(1.3)}
    together = model.generate(PROMPTS, seed=[5 + i for i in range(len(PROMPTS))], **arguments)
    for i, prompt in enumerate(PROMPTS):
        assert model.generate(prompt, seed=5 + i, **arguments) == together[i]
    pieces = list(model.stream(TEXTS[1], seed=3, **arguments))
    assert "".join(pieces) == model.generate(TEXTS[1], seed=3, strip_prompt=True, **arguments)


@pytest.mark.slow_to_compile
def test_prompts_and_continuations_may_be_longer_than_a_row(model):
    sampler = Temperature(0.01)  # an end of the text is not among the likeliest
    prompt = random_ids(1, 70)[0].tolist()
    assert len(model.generate(prompt, max_new_tokens=70, sampler=sampler, seed=0)) == 140
    assert [tuple(part.shape) for part in model.backbone.make_cache(3)[0]] == [(3, 24), (3, 24)]


# Tasks


def test_training_lowers_the_loss_in_mixed_precision():
    rows = {"sequence_length": 16}
    model = tiny_lstm(scale=0.1, dtype="mixed_bfloat16", num_layers=1, task_arguments=rows)
    model.compile(keras.optimizers.AdamW(3e-2, global_clipnorm=0.25))
    losses = model.fit(list(TEXTS), batch_size=2, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] - 0.1


def test_scores_and_padded_rows_count_real_tokens_alone(model):
    scores, counts = model.score(["It was", "The captain laughed."])
    for text, score, count in zip(["It was", "The captain laughed."], scores, counts, strict=True):
        row = np.array([0, *tokenizer().encode(text)])
        assert count == len(row) - 1
        assert score == pytest.approx(nats(model, row).sum(), rel=1e-5)


def test_a_preset_comes_back_bit_for_bit_and_serves_other_tasks(model, tmp_path):
    zoo.save(model, tmp_path / "lstm")
    loaded = zoo.load(tmp_path / "lstm")
    assert loaded.backbone.get_config() == {
        **model.backbone.get_config(),
        "name": loaded.backbone.name,
    }
    ids = random_ids(2, 5)
    np.testing.assert_array_equal(hidden(loaded, ids), hidden(model, ids))
    labels = ["neg", "pos"]
    classifier = zoo.load(tmp_path / "lstm", task="text_classification", labels=labels)
    assert classifier.pooling == "mean"
    np.testing.assert_array_equal(hidden(classifier.backbone, ids), hidden(model.backbone, ids))
    both = zoo.load(
        tmp_path / "lstm",
        task="token_classification",
        labels=labels,
        bidirectional=True,
        weights=False,
    )
    assert both.backbone.bidirectional
    with pytest.raises(ValueError, match="You changed labels, bidirectional: weights=False makes"):
        zoo.load(tmp_path / "lstm", task="text_classification", labels=labels, bidirectional=True)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_encoder_tasks_learn_and_ignore_padding(bidirectional):
    keras.utils.set_random_seed(1)
    backbone = zoo.models.LSTM(
        word_pieces().vocab_size, 1, 16, dropout=0.0, bidirectional=bidirectional, max_length=32
    )
    texts = ["the sea was calm", "it was the worst of times", "nobody spoke", "grey sky"] * 4
    labels = ["a", "b", "a", "b"] * 4
    classifier = zoo.TextClassifier(backbone, word_pieces(), labels=["a", "b"], head_dropout=0.0)
    classifier.compile(keras.optimizers.Adam(0.02))
    losses = classifier.fit(texts, labels, batch_size=8, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    alone = [classifier.predict([text], verbose=0)[0] for text in texts[:4]]
    np.testing.assert_allclose(classifier.predict(texts[:4], verbose=0), alone, atol=1e-5)
    tagger = zoo.TokenClassifier(backbone, word_pieces(), labels=["O", "X"])
    assert [len(tags) for tags in tagger.predict_tags([["the", "sea"], ["grey"]])] == [2, 1]
    tagger.freeze(1)
    assert {v.path.split("/")[0] for v in tagger.trainable_variables} == {
        "lstm_0",
        "token_classifier",
    }


# Reading one stream from batch to batch


@pytest.mark.backend_free
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("num_tokens", [8, 101, 97, 200])
@pytest.mark.parametrize("lanes", [1, 4])
def test_each_lane_is_a_piece_of_the_stream_in_order(num_tokens, lanes, drop):
    stream = np.arange(num_tokens)
    ids, labels, weight = continued_rows(stream, lanes, 6, drop_remainder=drop)
    assert len(ids) % lanes == 0
    weight = np.ones(ids.shape) if weight is None else weight
    real = weight > 0
    np.testing.assert_array_equal((ids + 1)[real], labels[real])
    by_lane = [labels[lane::lanes][real[lane::lanes]] for lane in range(lanes)]
    for lane in by_lane:
        np.testing.assert_array_equal(np.diff(lane), 1)  # windows go on without a gap
    seen = np.concatenate(by_lane)
    np.testing.assert_array_equal(seen, np.sort(seen))
    assert len(np.unique(seen)) == len(seen)
    if drop and (num_tokens - 1) // lanes >= 6:
        assert real.all()
        assert num_tokens - 1 - len(seen) < lanes * 7
    elif not drop:
        np.testing.assert_array_equal(seen, stream[1:])


@pytest.mark.backend_free
@pytest.mark.parametrize(("lanes", "length"), [(0, 6), (4, 0)])
def test_a_stream_has_lanes_and_windows(lanes, length):
    with pytest.raises(ValueError, match=f"whole numbers of at least 1; got {lanes} and {length}"):
        continued_rows(np.arange(50), lanes, length)


@pytest.mark.backend_free
def test_documents_become_the_stream_of_packed_rows():
    documents = [[5, 6, 7], [8], [9, 10]]
    ids, labels, weight = ContinuedCausalLM(1, 4, 0, drop_remainder=False)(documents)
    stream = [0, 5, 6, 7, 0, 8, 0, 9, 10, 0]
    assert ids.ravel()[weight.ravel() > 0].tolist() == stream[:-1]
    assert labels.ravel()[weight.ravel() > 0].tolist() == stream[1:]
    orders = {
        tuple(ContinuedCausalLM(1, 3, 0, seed=seed)(documents)[0].ravel()) for seed in range(5)
    }
    assert len(orders) > 1


def test_one_lane_gives_the_loss_of_the_whole_stream_in_one_go(stateful):
    stream = random_ids(1, 51)[0]
    expected = nats(stateful, stream).mean()
    for _ in range(2):  # each starts from zeros
        logs = stateful.evaluate(stream, batch_size=1, return_dict=True, verbose=0)
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    alone = [nats(stateful, stream[i : i + 9]) for i in range(0, 50, 8)]
    assert abs(np.concatenate(alone).mean() - expected) > 1e-4  # which windows alone do not give


def test_lanes_are_read_side_by_side_each_from_zeros(stateful):
    stream = random_ids(1, 51)[0]
    lanes = [nats(stateful, stream[start : start + 26]) for start in (0, 25)]
    logs = stateful.evaluate(stream, batch_size=2, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(np.mean(lanes), rel=1e-5)


@pytest.mark.slow_to_compile
def test_training_goes_on_from_the_carried_state():
    """At a learning rate of 0, each step's loss is that of its window after those before it."""
    stream, arguments = random_ids(1, 49)[0], {"sequence_length": 8, "stateful": True}
    model = tiny_lstm(with_tokenizer=False, num_layers=1, task_arguments=arguments)
    model.compile(keras.optimizers.SGD(0.0, global_clipnorm=0.5))
    history = model.fit(
        stream, batch_size=2, epochs=2, validation_data=stream, validation_batch_size=1, verbose=0
    ).history
    expected = np.mean([nats(model, stream[i : i + 25]) for i in (0, 24)])
    assert history["loss"] == pytest.approx([expected] * 2, rel=1e-5)
    assert history["val_loss"] == pytest.approx([nats(model, stream).mean()] * 2, rel=1e-5)

    model.optimizer.learning_rate = 1.0
    losses = model.fit(stream, batch_size=2, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_callback_may_evaluate_without_disturbing_the_epoch():
    stream = random_ids(1, 49)[0]

    class Evaluate(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.looks:
                self.model.evaluate(stream[:20], batch_size=2, verbose=0)

    model = tiny_lstm(
        with_tokenizer=False,
        num_layers=1,
        task_arguments={"sequence_length": 8, "stateful": True},
    )
    model.compile(keras.optimizers.SGD(0.0))
    states = []
    for looks in (False, True):
        model.looks = looks
        model.fit(stream, batch_size=2, verbose=0, callbacks=[Evaluate()])
        states.append(
            [to_numpy(part) for part in keras.tree.flatten(model.carried_state.read(True))]
        )
    assert np.abs(states[0][0]).max() > 1e-3
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_states_are_no_weights(stateful, tmp_path):
    stateful.evaluate(random_ids(1, 51)[0], batch_size=1, verbose=0)
    assert {w.path.split("/")[0] for w in stateful.weights} == {"token_embedding", "lstm_0"}
    assert stateful.count_params() == stateful.backbone.count_params()
    stateful.optimizer.build(stateful.trainable_variables)
    zoo.save(stateful, tmp_path / "preset")
    stateful.save(tmp_path / "model.keras")
    ids = random_ids(2, 5)
    for again in (
        zoo.load(tmp_path / "preset"),
        keras.saving.load_model(tmp_path / "model.keras"),
    ):
        assert again.stateful
        np.testing.assert_array_equal(hidden(again, ids), hidden(stateful, ids))
    assert stateful.generate([1, 2], max_new_tokens=3) == again.generate([1, 2], max_new_tokens=3)


def test_text_and_datasets_are_read_as_streams():
    model = tiny_lstm(num_layers=1, task_arguments={"sequence_length": 8, "stateful": True})
    logs = model.evaluate(list(TEXTS), batch_size=1, return_dict=True, verbose=0)
    stream = np.array([0, *(t for text in TEXTS for t in [*tokenizer().encode(text), 0])])
    assert logs["loss"] == pytest.approx(nats(model, stream).mean(), rel=1e-5)

    class Dataset(keras.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            rows = slice(2 * index, 2 * index + 2)
            return ids[rows], labels[rows]

    ids, labels, _ = continued_rows(stream[:97], 2, 8)
    by_dataset = model.evaluate(Dataset(), return_dict=True, verbose=0)
    by_rows = model.evaluate(ids, labels, batch_size=2, return_dict=True, verbose=0)
    assert by_dataset == pytest.approx(by_rows, rel=1e-6)


def test_bad_input_is_one_clear_sentence(stateful):
    stream = random_ids(1, 51)[0]
    changing = r"all batches must have the same number of rows, 4; got one of 2\. Choose a batch_si"
    with pytest.raises(ValueError, match=changing):
        stateful.fit(random_ids(6, 9), batch_size=4)

    class Changing(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return random_ids(4 - 2 * index, 8), random_ids(4 - 2 * index, 8)

    with pytest.raises(Exception, match=changing):  # TensorFlow wraps what a dataset raises
        stateful.evaluate(Changing(), verbose=0)
    with pytest.raises(ValueError, match="read in 64 lanes must have more than 64 tokens; got 51"):
        stateful.fit(stream, batch_size=64)
    with pytest.raises(
        ValueError, match=r"A stream of token ids must be a \(tokens,\) array of wh"
    ):
        stateful.fit(np.zeros(50))
    with pytest.raises(ValueError, match=r"Token ids must be from 0 to 299.*got 300"):
        stateful.evaluate(stream + 300 - stream.max(), batch_size=1)
    with pytest.raises(ValueError, match="in order, so shuffle must be left out; got True"):
        stateful.fit(stream, shuffle=True)
    with pytest.raises(ValueError, match=r"so validation_split must be left out; got 0\.1"):
        stateful.fit(stream, validation_split=0.1)
    with pytest.raises(TypeError, match=r"pass text, a stream of token ids, .*; got generator"):
        stateful.fit(batch for batch in [])
    with pytest.raises(
        ValueError, match=r"needs one with a state, such as zoo.models.LSTM; got GPT"
    ):
        zoo.CausalLM(tiny_gpt().backbone, stateful=True)
    both = zoo.models.LSTM(VOCAB_SIZE, 1, 16, bidirectional=True)
    with pytest.raises(
        ValueError, match=r"but this LSTM is bidirectional\. Make it with bidirection"
    ):
        zoo.CausalLM(both)
    with pytest.raises(
        ValueError, match="an LSTM that reads from left to right alone; this one is"
    ):
        both.make_cache(1)
    with pytest.raises(ValueError, match="hidden_dim and inner_dim must be even; got 15"):
        zoo.models.LSTM(VOCAB_SIZE, 1, 15, bidirectional=True)
    with pytest.raises(
        ValueError, match=r"this LSTM reads from left to right\. Choose pooling='mean'"
    ):
        zoo.TextClassifier(stateful.backbone, labels=["a", "b"], pooling="first")
