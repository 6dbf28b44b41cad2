"""What holds of every backbone and task: it takes its place in a bigger model of Keras."""

import copy

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import with_weights

VOCAB = 20
SMALL = {"vocab_size": VOCAB, "num_layers": 1, "hidden_dim": 8, "max_length": 8, "dropout": 0.0}
HEADS = {"num_heads": 2}
BACKBONES = {
    "gpt": lambda: zoo.models.GPT(**SMALL, **HEADS),
    "gpt_neox": lambda: zoo.models.GPTNeoX(**SMALL, **HEADS),
    "llama": lambda: zoo.models.Llama(**SMALL, **HEADS, qk_norm=True, sliding_window=2),
    "bert": lambda: zoo.models.BERT(**SMALL, **HEADS),
    "roberta": lambda: zoo.models.RoBERTa(**SMALL, **HEADS),
    "distilbert": lambda: zoo.models.DistilBERT(**SMALL, **HEADS),
    "transformer": lambda: zoo.models.Transformer(**SMALL, **HEADS),
    "untied": lambda: zoo.models.Transformer(**SMALL, **HEADS, tied=False),
    "relative": lambda: zoo.models.Transformer(**SMALL, **HEADS, position="relative"),
    "t5": lambda: zoo.models.T5(**SMALL, **HEADS, activation="gated_gelu_tanh"),
    "bart": lambda: zoo.models.BART(**SMALL, **HEADS),
    "marian": lambda: zoo.models.Marian(**SMALL, **HEADS),
    "lstm": lambda: zoo.models.LSTM(**SMALL),
    "bilstm": lambda: zoo.models.LSTM(**SMALL, bidirectional=True),
    "lstm_seq2seq": lambda: zoo.models.LSTMSeq2Seq(**SMALL),
}
TASKS = {
    "causal_lm": lambda: zoo.CausalLM(BACKBONES["gpt"]()),
    "masked_lm": lambda: zoo.MaskedLM(BACKBONES["bert"]()),
    "text_classification": lambda: zoo.TextClassifier(BACKBONES["bert"](), labels=["a", "b"]),
    "embedding": lambda: zoo.TextEmbedder(BACKBONES["bert"]()),
    "seq2seq": lambda: zoo.Seq2SeqLM(BACKBONES["transformer"]()),
}
IDS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "int32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)


@pytest.fixture(params=BACKBONES | TASKS)
def model(request):
    return with_weights((BACKBONES | TASKS)[request.param](), 0.3)


def arrays_of(model):
    """The inputs that must be given, and those that need not."""
    required = {name: IDS for name in model.input if name not in model.optional_inputs}
    optional = {name: MASK if "mask" in name else IDS % 2 for name in model.optional_inputs}
    return required, optional


def outputs_of(model, inputs):
    flat = keras.tree.flatten(model(inputs))
    return [ops.convert_to_numpy(ops.stop_gradient(y)) for y in flat]


def assert_close(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow_to_compile
def test_stands_inside_another_model_with_any_of_its_optional_inputs(model, tmp_path):
    required, optional = arrays_of(model)
    for given in ({}, *({name: x} for name, x in optional.items()), optional):
        inputs = {**required, **given}
        symbolic = {
            name: keras.Input((None,), dtype=str(x.dtype), name=name) for name, x in inputs.items()
        }
        bigger = keras.Model(symbolic, model(symbolic))
        assert_close(outputs_of(bigger, inputs), outputs_of(model, inputs))
    if isinstance(model, zoo.tasks.base.Task):
        return  # its optimizer, if nothing was trained yet, is not read back by Keras
    bigger.save(tmp_path / "bigger.keras")
    again = keras.models.load_model(tmp_path / "bigger.keras")
    assert_close(outputs_of(again, inputs), outputs_of(model, inputs))


def test_token_ids_alone_stand_for_the_dict(model):
    if len(arrays_of(model)[0]) > 1:
        pytest.skip("A model over two sequences needs both.")
    sequential = keras.Sequential([keras.Input((None,), dtype="int32"), model])
    assert_close(outputs_of(sequential, IDS), outputs_of(model, IDS))


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.slow_to_compile
def test_a_backbone_is_cloned_copied_and_made_again(name):
    model = with_weights(BACKBONES[name](), 0.3)
    required, optional = arrays_of(model)
    expected = outputs_of(model, {**required, **optional})
    clone = keras.models.clone_model(model)
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    # A head is called by tasks alone, so that it is no part of the graph that Keras clones.
    num_head = sum(weight.path.startswith("head/") for weight in model.weights)
    clone.set_weights(model.get_weights()[: len(model.weights) - num_head])
    for other in (clone, again, copy.deepcopy(model)):
        assert_close(outputs_of(other, {**required, **optional}), expected)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_decoder_may_have_a_head_of_its_own(tied, dtype):
    """Which is plain: the loss is computed through it without the logits of all tokens."""
    model = zoo.models.Llama(**SMALL, num_heads=2, num_kv_heads=1, tied=tied, dtype=dtype)
    model = with_weights(model, 0.3)
    expected, tolerance = model(IDS), 1e-5 if dtype == "float32" else 3e-2
    first, cache = model.call_with_cache(IDS[:, :3], model.make_cache(2, 8), 0)
    last, _ = model.call_with_cache(IDS[:, 3:], cache, ops.convert_to_tensor([3, 3]))
    both = ops.cast(ops.concatenate([first, last], axis=1), "float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.stop_gradient(both)),
        ops.convert_to_numpy(ops.stop_gradient(ops.cast(expected, "float32"))),
        rtol=tolerance,
        atol=tolerance,
    )
    logits = ops.cast(model.logits(expected), "float32")
    assert model.has_plain_head
    table = ops.cast(ops.matmul(expected, ops.transpose(model.head_table())), "float32")
    assert tuple(model.head_table().shape) == (VOCAB, 8)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.stop_gradient(logits)),
        ops.convert_to_numpy(ops.stop_gradient(table)),
        rtol=tolerance,
        atol=tolerance,
    )
    task = zoo.CausalLM(model)
    before = task.evaluate(IDS, verbose=0)[0]
    task.fit(IDS, epochs=3, verbose=0)
    assert task.evaluate(IDS, verbose=0)[0] < before


@pytest.mark.parametrize("name", ["gpt", "gpt_neox", "transformer"])
def test_padding_on_the_right_asks_for_no_mask(name, monkeypatch):
    """And what it pads is computed as if it were not there, and finite."""
    model, calls = with_weights(BACKBONES[name](), 0.3), []
    kernel = zoo.layers.attention.backend.attention

    def spy(query, key, value, bias=None, mask=None, is_causal=False, scale=None):
        calls.append((mask is None, is_causal))
        return kernel(query, key, value, bias, mask, is_causal, scale)

    monkeypatch.setattr("zoo.layers.attention.backend.attention", spy)
    monkeypatch.setattr("zoo.layers.attention.backend.writes_attention_out", lambda *_: False)
    required, _ = arrays_of(model)
    mask = "decoder_padding_mask" if name == "transformer" else "padding_mask"
    (padded,) = outputs_of(model, {**required, mask: MASK})
    assert (True, True) in calls
    assert (False, True) not in calls
    assert np.isfinite(padded).all()
    target = "decoder_token_ids" if name == "transformer" else "token_ids"
    short = {**required, target: IDS[:, :2]}
    np.testing.assert_allclose(padded[1, :2], outputs_of(model, short)[0][1], atol=1e-5)


@pytest.fixture(params=["bfloat16", "float16"])
def half_floatx(request):
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def steps_of(model):
    """Hidden states of two tokens, one by one, from a cache."""
    if hasattr(model, "call_with_cache"):
        cache = model.make_cache(2, 8)
        for i in range(2):
            start = ops.full((2,), i, dtype="int32")
            hidden, cache = model.call_with_cache(IDS[:, i : i + 1], cache, start)
            yield hidden
    else:
        context = model.project_context(model.encode(IDS, MASK))
        cache = model.make_cache(context, 8)
        for i in range(2):
            start = ops.full((2,), i, dtype="int32")
            hidden, cache = model.decode(IDS[:, i : i + 1], cache, start, context, MASK)
            yield hidden


@pytest.mark.parametrize("name", ["gpt", "llama", "bert", "relative", "lstm", "lstm_seq2seq"])
def test_indices_are_whole_numbers_whatever_floatx_is(name, half_floatx):
    model = BACKBONES[name]()
    required, optional = arrays_of(model)
    whole = model({**required, **optional})
    assert keras.backend.standardize_dtype(whole.dtype) == half_floatx
    if name != "bert":  # which goes on from no cache
        states = [ops.cast(ops.stop_gradient(hidden), "float32") for hidden in steps_of(model)]
        seen = ops.convert_to_numpy(ops.concatenate(states, axis=1))
        expected = ops.convert_to_numpy(ops.cast(ops.stop_gradient(whole), "float32"))
        np.testing.assert_allclose(seen, expected[:, :2], atol=0.1, rtol=0.05)
