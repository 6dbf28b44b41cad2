"""Rotary positions: how far each pair turns, stretched or not, and what is refused."""

import math

import numpy as np
import pytest
from keras import ops

import zoo
from zoo.layers import MultiHeadAttention, RotaryEmbedding
from zoo.layers.positions import frequencies
from zoo.layers.rotary import SCALINGS, scaling_of

BASE, HEAD_DIM, ORIGINAL = 5e3, 12, 64
LLAMA3 = {"kind": "llama3", "factor": 4.0, "low": 1.0, "high": 4.0, "original_length": ORIGINAL}
YARN = {"kind": "yarn", "factor": 4.0, "original_length": ORIGINAL}
THEIRS = {  # what transformers calls a scaling, and ours
    "none": ({"rope_type": "default"}, None),
    "linear": ({"rope_type": "linear", "factor": 2.5}, {"kind": "linear", "factor": 2.5}),
    "dynamic": (
        {"rope_type": "dynamic", "factor": 2.0},
        {"kind": "dynamic", "factor": 2.0, "original_length": ORIGINAL},
    ),
    "llama3": (
        {
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": ORIGINAL,
        },
        LLAMA3,
    ),
    "yarn": (
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL},
        YARN,
    ),
    "yarn: all": (
        {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": ORIGINAL,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "attention_factor": 1.5,
            "truncate": False,
        },
        {**YARN, "fast": 16.0, "slow": 2.0, "attention_factor": 1.5, "whole_pairs": False},
    ),
}


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def turned(layer, x, **arguments):
    return ops.convert_to_numpy(layer(x, **arguments))


@pytest.mark.parametrize("name", THEIRS)
def test_pairs_turn_as_in_transformers(name):
    """A pair (1, 0) becomes (cos, sin), times the gain."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    parameters, scaling = THEIRS[name]
    theirs = LlamaRotaryEmbedding(
        transformers.LlamaConfig(
            hidden_size=2 * HEAD_DIM,
            num_attention_heads=2,
            max_position_embeddings=ORIGINAL,
            rope_parameters={"rope_theta": BASE, **parameters},
        )
    )
    x = np.zeros((1, 1, 1, HEAD_DIM), "float32")
    x[..., : HEAD_DIM // 2] = 1.0
    layer = RotaryEmbedding(BASE, scaling)
    for position in (0, 1, 30, ORIGINAL - 1, ORIGINAL, 3 * ORIGINAL):  # as a cache is filled
        cos, sin = theirs(torch.zeros(1), torch.tensor([[position]]))
        expected = np.concatenate([cos[0, 0, : HEAD_DIM // 2], sin[0, 0, : HEAD_DIM // 2]])
        found = turned(layer, x, start=position)[0, 0, 0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
        rows = ops.convert_to_tensor(np.array([position], "int32"))
        np.testing.assert_allclose(turned(layer, x, start=rows)[0, 0, 0], found, atol=1e-5)


def test_dynamic_is_plain_up_to_the_length_of_training_and_grows_beyond():
    frequency = frequencies(HEAD_DIM, BASE)
    position = np.array([0, ORIGINAL - 1, ORIGINAL, 4 * ORIGINAL - 1], "float32")[None, :, None]
    scaling = scaling_of(THEIRS["dynamic"][1])
    found = ops.convert_to_numpy(
        scaling.frequency(frequency, ops.convert_to_tensor(position), BASE)
    )[0]
    plain = ops.convert_to_numpy(frequency)
    np.testing.assert_array_equal(found[:2], np.stack([plain, plain]))
    exponent = HEAD_DIM / (HEAD_DIM - 2)
    for place, length in ((2, ORIGINAL + 1), (3, 4 * ORIGINAL)):
        base = BASE * (2 * length / ORIGINAL - 1) ** exponent
        expected = [base ** (-2 * i / HEAD_DIM) for i in range(HEAD_DIM // 2)]
        np.testing.assert_allclose(found[place], expected, rtol=1e-5)


@pytest.mark.parametrize("scaling", [None, LLAMA3, YARN])
def test_a_part_of_a_head_is_turned_as_a_head_of_its_size(scaling):
    x = random(2, 5, 3, 10)
    found = turned(RotaryEmbedding(BASE, scaling, rotary_dim=4), x)
    np.testing.assert_array_equal(found[..., 4:], x[..., 4:])
    whole = turned(RotaryEmbedding(BASE, scaling), x[..., :4])
    np.testing.assert_array_equal(found[..., :4], whole)


def test_scores_depend_on_distance_alone_whatever_the_scaling():
    for _, scaling in (THEIRS[name] for name in THEIRS if name != "dynamic"):
        layer, x = RotaryEmbedding(BASE, scaling), random(1, 1, 2, HEAD_DIM)
        near = (turned(layer, x, start=7) * turned(layer, x[..., ::-1], start=3)).sum(-1)
        far = (turned(layer, x, start=47) * turned(layer, x[..., ::-1], start=43)).sum(-1)
        np.testing.assert_allclose(near, far, atol=1e-4)


@pytest.mark.parametrize("window", [1, 3, 6])
@pytest.mark.parametrize("num_kv_heads", [2, 4])
def test_a_window_hides_what_is_farther_cached_or_not(window, num_kv_heads):
    x = random(2, 6, 8)
    layer = MultiHeadAttention(
        4, num_kv_heads, causal=True, window=window, position=RotaryEmbedding()
    )
    whole = ops.convert_to_numpy(ops.stop_gradient(layer(x)))
    for place in range(6):
        other = x.copy()
        other[:, place] += 1
        changed = np.abs(ops.convert_to_numpy(ops.stop_gradient(layer(other))) - whole) > 1e-6
        seen = changed.any(axis=(0, 2)).tolist()
        assert seen == [place <= query < place + window for query in range(6)]
    piece, cache = layer(x[:, :2], cache=layer.make_cache(2, 8), start=0)
    pieces = [piece]
    for i in range(2, 6):
        start = ops.full((2,), i, dtype="int32")
        piece, cache = layer(x[:, i : i + 1], cache=cache, start=start)
        pieces.append(piece)
    cached = ops.convert_to_numpy(ops.stop_gradient(ops.concatenate(pieces, axis=1)))
    np.testing.assert_allclose(cached, whole, atol=1e-5)


def test_a_padded_query_whose_window_is_all_padding_is_finite():
    layer = MultiHeadAttention(2, causal=True, window=2)
    mask = np.array([[True, True, False, False, False]])
    assert np.isfinite(ops.convert_to_numpy(layer(random(1, 5, 8), padding_mask=mask))).all()


# What is refused

SIZES = {"vocab_size": 20, "num_layers": 1, "num_heads": 4, "hidden_dim": 8, "max_length": 6}


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"kind": "longrope", "factor": 2.0}, "one of linear, dynamic, llama3, yarn; got"),
        ({"factor": 2.0}, "one of linear, dynamic"),
        (2.0, "must be a dict"),
        ({"kind": "linear"}, "kind 'linear' has the fields factor; 'factor' is missing"),
        ({"kind": "linear", "factor": 2.0, "x": 1}, "'x' is unknown"),
        ({"kind": "linear", "factor": 0.0}, "factor must be a number above 0; got 0.0"),
        ({"kind": "linear", "factor": math.nan}, "factor must be a number above 0; got nan"),
        ({"kind": "linear", "factor": math.inf}, "factor must be a number above 0; got inf"),
        ({"kind": "linear", "factor": True}, "factor must be a number above 0; got True"),
        ({**YARN, "whole_pairs": 1}, "whole_pairs must be true or false; got 1"),
        ({**YARN, "original_length": 8.5}, "original_length must be a number above 0; got 8.5"),
        ({**LLAMA3, "low": 4.0}, "low must be below its high; got 4.0 and 4.0"),
    ],
)
def test_a_scaling_that_is_none_is_refused(scaling, message):
    with pytest.raises(ValueError, match=message):
        RotaryEmbedding(scaling=scaling)
    for cls in (zoo.models.Llama, zoo.models.GPTNeoX):
        with pytest.raises(ValueError, match=f"{cls.__name__}: rotary_scaling must be an object"):
            cls(**SIZES, rotary_scaling=scaling)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        (
            "Llama",
            {"num_kv_heads": 3},
            "Llama: num_heads must be a multiple of num_kv_heads; got 4",
        ),
        ("Llama", {"head_dim": 5}, "Llama: head_dim must be even, .* got 5"),
        ("Llama", {"hidden_dim": 12}, "Llama: head_dim must be even, .* got 3"),
        ("Llama", {"hidden_dim": 10}, "Llama: hidden_dim must be a multiple of num_heads; got 10"),
        ("GPTNeoX", {"hidden_dim": 12}, "GPTNeoX: head_dim must be even, .* got 3"),
        ("GPTNeoX", {"rotary_dim": 3}, "GPTNeoX: rotary_dim must be even and at most head_dim"),
        ("GPTNeoX", {"rotary_dim": 4}, "at most head_dim, 2; got 4"),
        ("Llama", {"rotary_pattern": []}, "Llama: rotary_pattern must be a list of true and false"),
        ("Llama", {"sliding_pattern": [1]}, "sliding_pattern must be a list of true and false"),
        ("Llama", {"attention_bias": True}, "attention_bias must be one of none, qkv, all"),
    ],
)
def test_what_does_not_go_together_is_refused_by_class_and_name(family, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(zoo.models, family)(**{**SIZES, **arguments})


@pytest.mark.parametrize("cls", [zoo.models.GPT, zoo.models.GPTNeoX, zoo.models.Llama])
def test_no_decoder_reads_more_than_its_length(cls):
    model, ids = cls(**SIZES), np.zeros((1, 7), "int32")
    message = r"at most 6 tokens at once \(max_length\); got a sequence of 7"
    for call in (lambda: model(ids), lambda: model({"token_ids": ids})):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=message):
        model.call_with_cache(ids, model.make_cache(1, 8), 0)
    assert model(ids[:, :6]).shape == (1, 6, 8)


@pytest.mark.backend_free
def test_the_kinds_of_scalings_are_those_that_are_tested():
    assert {scaling["kind"] for _, scaling in THEIRS.values() if scaling} == SCALINGS.keys()
    with pytest.raises(ValueError, match="window=3 with causal=False"):
        MultiHeadAttention(2, window=3)
    with pytest.raises(ValueError, match="rotary_dim must be at most head_dim, 4; got 6"):
        RotaryEmbedding(rotary_dim=6)(random(1, 2, 1, 4))
