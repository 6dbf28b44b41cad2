"""LSTM encoder-decoders: cached = uncached, the papers' attention, padding that is not seen.

KERAS_BACKEND=jax python -m tests.test_lstm_seq2seq     # writes the golden file anew
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import random_ids, tokenizer, with_weights
from zoo.layers.recurrent_attention import BahdanauAttention, LuongAttention, RecurrentDecoder
from zoo.models import LSTMSeq2Seq

VARIANTS = {
    "luong": {"attention": "luong"},
    "bahdanau": {"attention": "bahdanau"},
    "states_alone": {"attention": None, "bidirectional": False},
    "forward_luong": {"attention": "luong", "bidirectional": False},
}
GOLDEN = Path(__file__).parent / "data" / "golden_lstm_seq2seq.json"
MASK = np.arange(7) < np.array([[7], [4]])


def make(**overrides):
    arguments = {"vocab_size": 300, "num_layers": 2, "hidden_dim": 16, "dropout": 0.0, **overrides}
    return with_weights(LSTMSeq2Seq(max_length=16, **arguments), scale=0.5)


@pytest.fixture(scope="module", params=VARIANTS)
def model(request):
    return make(**VARIANTS[request.param])


def numpy_of(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def inputs(mask=MASK):
    return {
        "token_ids": random_ids(2, 7),
        "padding_mask": mask,
        "decoder_token_ids": random_ids(2, 6, seed=1),
    }


@pytest.fixture(scope="module")
def hidden(model):
    return numpy_of(model(inputs()))


@pytest.mark.slow_to_compile
def test_cached_decoding_equals_the_uncached_forward(model, hidden):
    ids = inputs()["decoder_token_ids"]
    context = model.project_context(model.encode(inputs()["token_ids"], MASK))
    piece, cache = model.decode(ids[:, :3], model.make_cache(context, 8), 0, context, MASK)
    pieces = [numpy_of(piece)]
    for i in range(3, 6):
        piece, cache = model.decode(ids[:, i : i + 1], cache, i, context, MASK)
        pieces.append(numpy_of(piece))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), hidden, atol=1e-5)


@pytest.mark.slow_to_compile
def test_padding_of_a_source_is_not_seen(model, hidden):
    other = inputs()
    other["token_ids"] = np.where(MASK, other["token_ids"], 5)
    np.testing.assert_allclose(numpy_of(model(other)), hidden, atol=1e-5)
    short = {name: array[1:] for name, array in inputs().items()}
    short = {**short, "token_ids": short["token_ids"][:, :4], "padding_mask": MASK[1:, :4]}
    np.testing.assert_allclose(numpy_of(model(short)), hidden[1:], atol=1e-5)


def test_the_source_is_read(model, hidden):
    other = inputs()
    other["token_ids"] = other["token_ids"][::-1]
    assert np.abs(numpy_of(model(other)) - hidden).max() > 1e-3


def test_a_token_changes_nothing_before_it(model, hidden):
    other = inputs()
    other["decoder_token_ids"] = other["decoder_token_ids"].copy()
    other["decoder_token_ids"][:, 3] = 7
    changed = np.abs(numpy_of(model(other)) - hidden).max(axis=(0, 2))
    assert (changed[:3] == 0).all()
    assert (changed[3:] > 1e-4).all()


@pytest.mark.slow_to_compile
def test_every_weight_has_a_gradient(model):
    task = zoo.Seq2SeqLM(model)
    task.compile(keras.optimizers.SGD(1.0))
    before = [numpy_of(weight) for weight in model.trainable_weights]
    x = inputs()
    task.fit(x, random_ids(2, 6, seed=2), batch_size=2, verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(numpy_of(weight) - old).max() > 0, weight.path
        weight.assign(old)


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("cls", [LuongAttention, BahdanauAttention])
def test_attention_is_the_papers_formula(cls):
    rng = np.random.default_rng(0)
    query, memory = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 7, 8))
    layer = cls(8)
    layer.build((2, 3, 8), (2, 7, 8), (2, 7, 8))
    with_weights(layer)
    keys = layer.project(ops.convert_to_tensor(memory, "float32"))
    seen = layer(ops.convert_to_tensor(query, "float32"), keys, memory.astype("float32"), MASK)
    rows = query.reshape(6, 1, 8).astype("float32")  # a token each, three rows for each memory
    shared = layer(ops.convert_to_tensor(rows), keys, memory.astype("float32"), MASK)

    projected = memory @ numpy_of(layer.key.kernel)
    if cls is LuongAttention:
        scores = query @ projected.transpose(0, 2, 1)
    else:
        query = query @ numpy_of(layer.query.kernel) + numpy_of(layer.query.bias)
        mixed = np.tanh(query[:, :, None] + projected[:, None])
        scores = (mixed @ numpy_of(layer.score.kernel))[..., 0]
    scores = np.where(MASK[:, None], scores, -np.inf)
    expected = softmax(scores) @ memory
    np.testing.assert_allclose(numpy_of(seen), expected, atol=1e-5)
    np.testing.assert_allclose(numpy_of(shared), expected.reshape(6, 1, 8), atol=1e-5)


@pytest.fixture(scope="module")
def task():
    backbone = LSTMSeq2Seq(tokenizer().vocab_size, 1, 16, max_length=32, dropout=0.0)
    return with_weights(zoo.Seq2SeqLM(backbone, tokenizer()), scale=0.5)


SOURCES = ["the cat", "a dog and a cat sat", "birds"]


def golden():
    """Logits, the losses of 10 epochs of `fit` and greedy text, for each attention."""
    content = {}
    for attention in ("luong", "bahdanau"):
        keras.utils.set_random_seed(0)
        arguments = {"attention": attention, "max_length": 32, "dropout": 0.0}
        backbone = LSTMSeq2Seq(tokenizer().vocab_size, 1, 16, **arguments)
        task = with_weights(zoo.Seq2SeqLM(backbone, tokenizer()), scale=0.5)
        logits = numpy_of(task(inputs()))[0, :, :20]
        written = task.generate(SOURCES, max_new_tokens=6)
        with_weights(task, scale=0.1)
        task.compile(keras.optimizers.Adam(3e-3, epsilon=1e-4))
        pairs = [(source, source[::-1]) for source in SOURCES]
        losses = task.fit(pairs, epochs=10, batch_size=4, verbose=0).history["loss"]
        content[attention] = {"logits": logits.tolist(), "losses": losses, "texts": written}
    return content


@pytest.mark.slow_to_compile
def test_backends_agree():
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for attention, seen in golden().items():
        wanted = expected[attention]
        np.testing.assert_allclose(seen["logits"], wanted["logits"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(seen["losses"], wanted["losses"], rtol=1e-4)
        assert seen["texts"] == wanted["texts"]


def test_a_batch_gives_what_its_sources_give_one_by_one(task):
    together = task.generate(SOURCES, max_new_tokens=6)
    assert together == [task.generate(source, max_new_tokens=6) for source in SOURCES]
    again = task.generate(SOURCES, max_new_tokens=6)
    assert together == again


@pytest.mark.slow_to_compile
def test_a_beam_of_one_is_greedy_and_a_wider_one_no_less_likely(task):
    greedy = task.generate(SOURCES, max_new_tokens=6)
    alone = task.generate(SOURCES, max_new_tokens=6, sampler=zoo.generation.Beam(1))
    assert alone == greedy
    best = task.generate(SOURCES, max_new_tokens=6, sampler=zoo.generation.Beam(4), num_return=2)
    assert all(len(several) == 2 for several in best)


@pytest.mark.slow_to_compile
def test_it_learns_to_reverse_and_comes_back_from_disk(task, tmp_path):
    words = ["cat", "dog", "sat", "the"]
    pairs = [(f"{a} {b}", f"{b} {a}") for a in words for b in words]
    keras.utils.set_random_seed(0)
    backbone = LSTMSeq2Seq(tokenizer().vocab_size, 1, 64, max_length=32, dropout=0.0)
    model = zoo.Seq2SeqLM(backbone, tokenizer(), label_smoothing=0.0)
    model.compile(keras.optimizers.Adam(0.01))
    losses = model.fit(pairs, batch_size=4, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]
    zoo.save(model, tmp_path / "preset")
    sources = [source for source, _ in pairs[:3]]
    loaded = zoo.load(tmp_path / "preset")
    assert loaded.generate(sources) == model.generate(sources) == [t for _, t in pairs[:3]]


@pytest.mark.slow_to_compile
def test_the_start_values_and_dropouts(task):
    noisy = LSTMSeq2Seq(300, 2, 16, attention="bahdanau", dropout=0.5)
    first, second = (numpy_of(noisy(inputs(), training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    same = [numpy_of(noisy(inputs(), training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_bad_arguments():
    with pytest.raises(ValueError, match="attention must be one of luong, bahdanau, None; got"):
        LSTMSeq2Seq(300, 1, 16, attention="dot")
    with pytest.raises(ValueError, match="attention must be one of"):
        RecurrentDecoder(1, 16, attention="dot")
    with pytest.raises(ValueError, match="hidden_dim and inner_dim must be even; got 15"):
        LSTMSeq2Seq(300, 1, 15)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), ensure_ascii=False), encoding="utf-8")
