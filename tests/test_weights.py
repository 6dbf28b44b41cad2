"""Weights files: exact, strict, and harmless when damaged."""

import json
import time
import tracemalloc
import types
import zlib

import keras
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import zoo
from zoo import weights
from zoo.tensors import reading


def tiny(dtype="float32", name=None, **changes):
    arguments = {"vocab_size": 30, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    return zoo.models.GPT(**{**arguments, "max_length": 12, **changes}, dtype=dtype, name=name)


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v.value) for v in model.weights}


def assert_same(first, second):
    first, second = values(first), values(second)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert first[name].tobytes() == second[name].tobytes(), name


def write_raw(path, header, data=b""):
    """A safetensors file from a dict, or from whatever bytes are to stand for the header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_loading_gives_back_every_bit(path, dtype):
    model, other = tiny(dtype), tiny(dtype)
    weights.save_weights(model, path)
    weights.load_weights(other, path)
    assert_same(model, other)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_on_disk_widens(path, dtype):
    model, other = tiny(), tiny()
    weights.save_weights(model, path, dtype)
    assert path.stat().st_size < 2 * model.count_params() + 5000
    weights.load_weights(other, path)
    rounded = np.dtype(getattr(ml_dtypes, dtype, dtype))
    for name, value in values(model).items():
        expected = value.astype(rounded).astype("float32")
        np.testing.assert_array_equal(values(other)[name], expected)


def test_names_depend_on_no_model_name():
    names = list(weights.named_weights(tiny()))
    assert "token_embedding/embeddings" in names
    assert "block_0/attention/qkv/kernel" in names
    assert list(weights.named_weights(tiny(name="other"))) == names
    assert list(weights.named_weights(zoo.CausalLM(tiny()))) == names
    assert list(weights.named_weights(zoo.CausalLM(tiny(), name="third"))) == names


def test_names_must_be_unique():
    variable = tiny().weights[0]
    twins = types.SimpleNamespace(weights=[variable, variable], built=True)
    with pytest.raises(ValueError, match="'token_embedding/embeddings' stands for two"):
        weights.named_weights(twins)
    with pytest.raises(ValueError, match="not built yet"):
        weights.named_weights(keras.Sequential([keras.layers.Dense(3)]))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_safetensors_library_agrees(path, tmp_path, dtype):
    model, other = tiny(dtype), tiny(dtype)
    weights.save_weights(model, path)
    theirs = safetensors.numpy.load_file(path)
    assert theirs.keys() == values(model).keys()
    for name, value in values(model).items():
        assert theirs[name].dtype == value.dtype
        np.testing.assert_array_equal(theirs[name], value)
    safetensors.numpy.save_file(theirs, tmp_path / "theirs.safetensors")
    weights.load_weights(other, tmp_path / "theirs.safetensors")
    assert_same(model, other)


def test_memory_peaks_at_one_tensor(path):
    model = tiny(vocab_size=20_000, hidden_dim=64)
    largest, total = 4 * 20_000 * 64, 4 * model.count_params()
    weights.save_weights(model, path)
    tracemalloc.start()
    weights.load_weights(model, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # JAX may keep the arrays that it is given instead of copying them.
    assert peak < total + 1.5 * largest


# Damage


def test_a_cut_file_is_refused(path):
    model = tiny()
    weights.save_weights(model, path)
    whole, before = path.read_bytes(), values(model)
    for length in (0, 5, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"is damaged: it is cut short.*Fetch or save it again"
        ):
            weights.load_weights(model, path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="bytes that belong to no tensor"):
        weights.load_weights(model, path)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_flipped_bit_changes_no_weight(path):
    model = tiny()
    weights.save_weights(model, path)
    whole, before = path.read_bytes(), values(model)
    header_end = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    refused = 0
    places = [*rng.integers(0, header_end, 60), *rng.integers(header_end, len(whole), 20)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            weights.load_weights(model, path)
        except ValueError:
            refused += 1
        for name, value in values(model).items():
            np.testing.assert_array_equal(value, before[name])
    assert refused == 80


def test_a_header_that_tells_another_story_is_refused(path):
    """Two weights change names, or bits are read as another dtype: all sizes still fit."""
    model = tiny("float16")
    weights.save_weights(model, path)
    whole = path.read_bytes()
    for old, new in (
        (b"attention_norm/gamma", b"attention_norm/delta"),
        (b"attention_norm/beta", b"attention_norm/gamm"),
        (b'"F16"', b'"I16"'),
        (b'"format":"zoo"', b'"format":"bar"'),
        (b'"checksum"', b'"checksuX"'),
    ):
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(ValueError, match=r"weights of this model|checksum|must be float16"):
            weights.load_weights(tiny("float16"), path)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    one, other = "block_0/attention_norm/gamma", "block_0/feed_forward_norm/gamma"
    header[one], header[other] = header[other], header[one]
    write_raw(path, header, whole[8 + length :])
    with pytest.raises(ValueError, match="its checksum must be"):
        weights.load_weights(model, path)


def test_older_files_load_and_their_numbers_are_checked(path):
    """Before the header had a part in it, the checksum was called crc32."""
    model, other = tiny(), tiny()
    weights.save_weights(model, path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    header["__metadata__"] = {"format": "zoo", "crc32": f"{zlib.crc32(data):08x}"}
    write_raw(path, header, data)
    weights.load_weights(other, path)
    assert_same(model, other)
    write_raw(path, header, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="its checksum must be"):
        weights.load_weights(other, path)


@pytest.mark.backend_free
def test_a_header_of_many_tensors_is_refused_soon(path):
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    write_raw(path, {f"block_{i}": entry for i in range(100_000)})
    start = time.perf_counter()
    with pytest.raises(ValueError, match="over the limit"):
        weights.count_numbers(path)
    assert time.perf_counter() - start < 1


ENTRY = '"%s":{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "JSON is not valid"),
        (b"\xff\xff", "JSON is not valid"),
        (b"[" * 100_000, "JSON is not valid"),
        (b"[]", "must be an object"),
        (
            ("{" + ENTRY % ("a", 0, 4) + "," + ENTRY % ("a", 0, 4) + "}").encode(),
            "'a' occurs twice",
        ),
        (
            ("{" + ENTRY % ("a", 0, 4) + "," + ENTRY % ("b", 0, 4) + "}").encode(),
            "invalid offset",
        ),
        (("{" + ENTRY % ("a", 4, 8) + "}").encode(), "invalid offset"),
        ({"a": {"dtype": "F32", "shape": [1]}}, "nothing else"),
        (
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "code": "x"}},
            "nothing else",
        ),
        ({"a": 1}, "nothing else"),
        ({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}, "dtype of 'a'"),
        ({"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, "dtype of 'a'"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, "invalid JSON"),
        (
            {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
            "invalid JSON",
        ),
        ({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, "invalid JSON"),
        (
            {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}},
            "invalid JSON",
        ),
        ({"a": {"dtype": "F32", "shape": [2**62] * 3, "data_offsets": [0, 4]}}, "overflow"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, "invalid offset"),
        ({"__metadata__": {"a": 1}}, "expected a string"),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, "cut short"),
    ],
)
def test_a_hostile_header_is_refused(path, header, message):
    write_raw(path, header, bytes(8))
    with pytest.raises(ValueError, match=message):
        weights.count_numbers(path)


@pytest.mark.backend_free
def test_a_huge_header_is_refused(path):
    with open(path, "wb") as file:
        file.write((reading.MAX_HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(reading.MAX_HEADER_BYTES + 100)  # a hole, not bytes on disk
    with pytest.raises(ValueError, match="over the limit"):
        weights.count_numbers(path)


@pytest.mark.backend_free
def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match="No file at"):
        weights.count_numbers(path)


# Another model's weights


def test_another_depth(path):
    shallow, deep = tiny(), tiny(num_layers=2)
    weights.save_weights(deep, path)
    with pytest.raises(ValueError, match=r"12 are unknown, such as 'block_1/.*another model"):
        weights.load_weights(shallow, path)
    weights.save_weights(shallow, path)
    with pytest.raises(ValueError, match=r"12 are missing, such as 'block_1/"):
        weights.load_weights(deep, path)


def test_another_shape_or_dtype_leaves_the_model_as_it_was(path):
    model = tiny()
    before = values(model)
    weights.save_weights(tiny(max_length=13), path)
    with pytest.raises(
        ValueError, match=r"'position_embedding/embeddings' must have .* \(12, 8\); got \(13, 8\)"
    ):
        weights.load_weights(model, path)
    safetensors.numpy.save_file({k: v.astype("float64") for k, v in before.items()}, path)
    with pytest.raises(ValueError, match=r"must be float32, or .* got float64"):
        weights.load_weights(model, path)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_weights_are_never_narrowed(path):
    weights.save_weights(tiny(), path)
    with pytest.raises(ValueError, match=r"must be bfloat16, .*; got float32"):
        weights.load_weights(tiny("bfloat16"), path)


# Numbers that are none


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_must_be_finite(path, bad):
    model = tiny()
    arrays = values(model)
    arrays["norm/gamma"] = np.full_like(arrays["norm/gamma"], bad)
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(ValueError, match=r"'norm/gamma' in .* holds NaN or infinity"):
        weights.load_weights(model, path)
    model.get_layer("norm").gamma.assign(arrays["norm/gamma"])
    with pytest.raises(ValueError, match="training has diverged"):
        weights.save_weights(model, path)


def test_float16_must_hold_the_values(path):
    model = tiny()
    model.get_layer("norm").gamma.assign(np.full(8, 1e6, "float32"))
    with pytest.raises(ValueError, match=r"up to 1e\+06, which float16 cannot hold.*bfloat16"):
        weights.save_weights(model, path, "float16")
    weights.save_weights(model, path, "bfloat16")
    with pytest.raises(ValueError, match="must be None, 'float16' or 'bfloat16'; got 'int8'"):
        weights.save_weights(model, path, "int8")
