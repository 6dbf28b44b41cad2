"""GGUF files: equal to what the `gguf` package reads and writes, and lies are refused."""

import numpy as np
import pytest

from zoo.checkpoints.formats import gguf
from zoo.checkpoints.formats.gguf import blocks
from zoo.checkpoints.formats.opening import open_tensors
from zoo.tensors import InMemory

pytestmark = pytest.mark.backend_free

theirs = pytest.importorskip("gguf")

RNG = np.random.default_rng(0)
METADATA = {
    "general.architecture": "llama",
    "general.name": "größer",
    "llama.block_count": 2,
    "llama.rope.freq_base": 1e5,
    "small": np.int8(-3),
    "large": np.uint64(2**63),
    "double": np.float64(0.1),
    "yes": True,
    "tokenizer.ggml.tokens": ["a", "ä", ""],
    "tokenizer.ggml.scores": np.array([0.5, -1.0], "float32"),
    "tokenizer.ggml.token_type": np.array([1, 3], "int32"),
    "flags": [True, False],
    "negative": [-1, 2],
}
ARRAYS = {
    "token_embd.weight": RNG.normal(size=(5, 64)).astype("float32"),
    "blk.0.attn_q.weight": RNG.normal(size=(3, 2, 96)).astype("float32"),
    "blk.0.attn_norm.weight": RNG.normal(size=33).astype("float32"),
    "odd.weight": RNG.normal(size=(3, 33)).astype("float32"),
}


def random_blocks(kind, rows):
    """Bytes of any value, but with scales that are finite."""
    block = blocks.BLOCKS[kind]
    data = RNG.integers(0, 256, (rows, 2, block.num_bytes_each), "uint8")
    places = {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,)}.get(kind, (0, 2))
    for place in places:
        if place == 0 or kind in ("Q2_K", "Q3_K", "Q6_K") or kind[-1] == "1" or kind[-1] == "K":
            halves = RNG.normal(size=(rows, 2, 1)).astype("float16")
            data[:, :, place : place + 2] = halves.view("uint8")
    return data.reshape(rows, -1)


@pytest.mark.parametrize("kind", [k for k, block in blocks.BLOCKS.items() if block.decode])
def test_blocks_are_worked_out_as_the_gguf_package_does(kind):
    data = random_blocks(kind, rows=700)  # more than are worked out at a time
    expected = theirs.quants.dequantize(data, theirs.GGMLQuantizationType[kind])
    shape = (700, 2 * blocks.BLOCKS[kind].size)
    np.testing.assert_array_equal(blocks.decode(data.reshape(-1), kind, shape), expected)


@pytest.mark.parametrize("kind", gguf.writer.WRITTEN)
def test_numbers_are_packed_as_the_gguf_package_does(kind):
    array = RNG.normal(size=(300, 64)).astype("float32") * RNG.normal(size=(300, 1)) ** 9
    array[0] = 0
    array = array.astype("float32")
    expected = theirs.quants.quantize(array, theirs.GGMLQuantizationType[kind])
    np.testing.assert_array_equal(
        blocks.encode(array, kind, "w").reshape(-1), expected.view("uint8").reshape(-1)
    )


@pytest.mark.parametrize("kind", gguf.writer.WRITTEN)
def test_what_we_write_the_gguf_package_reads(tmp_path, kind):
    path = tmp_path / "model.gguf"
    gguf.write(path, METADATA, InMemory(ARRAYS), kind)
    read = theirs.GGUFReader(path)
    for key, value in METADATA.items():
        if not (isinstance(value, list) and "" in value):  # it fails on empty texts in arrays
            expected = np.float32(value) if type(value) is float else np.asarray(value)
            found = np.asarray(read.get_field(key).contents()).astype(expected.dtype)
            np.testing.assert_array_equal(found, expected)
    assert [tensor.name for tensor in read.tensors] == list(ARRAYS)
    with open_tensors(path) as ours:
        assert ours.metadata["llama.rope.freq_base"] == 1e5
        for key, value in METADATA.items():
            np.testing.assert_array_equal(ours.metadata[key], value)
        for tensor, (name, array) in zip(read.tensors, ARRAYS.items(), strict=True):
            expected = theirs.quants.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(ours.read(name).astype("float32"), expected)
            assert ours.shape(name) == array.shape
            assert ours.dtype(name) == ours.read(name).dtype
            np.testing.assert_allclose(expected, array, atol=0.05)
            kept = "F16" if name == "odd.weight" and kind == "Q8_0" else kind
            assert tensor.tensor_type.name == ("F32" if array.ndim == 1 else kept)
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_what_the_gguf_package_writes_we_read(tmp_path):
    path = tmp_path / "model.gguf"
    writer = theirs.GGUFWriter(path, "llama", use_temp_file=False)
    writer.add_custom_alignment(64)
    writer.add_uint32("llama.block_count", 2)
    writer.add_float32("eps", 1e-5)
    writer.add_bool("yes", True)
    writer.add_token_list(["a", "ä", "<0x0A>"])
    writer.add_token_scores([0.5, -1.0, 2.0])
    writer.add_array("merges", ["a b"])
    kinds = theirs.GGMLQuantizationType
    expected = {}
    for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        array = RNG.normal(size=(3, 64)).astype("float32")
        data = theirs.quants.quantize(array, kinds[kind])
        expected[kind] = theirs.quants.dequantize(data, kinds[kind])
        raw = None if kind in ("F32", "F16") else kinds[kind]
        writer.add_tensor(kind, data, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open_tensors(path) as ours:
        assert ours.metadata["tokenizer.ggml.tokens"] == ["a", "ä", "<0x0A>"]
        np.testing.assert_array_equal(ours.metadata["tokenizer.ggml.scores"], [0.5, -1.0, 2.0])
        assert ours.metadata["merges"] == ["a b"]
        assert ours.metadata["yes"] is True
        assert ours.metadata["llama.block_count"] == 2
        assert list(ours.names) == list(expected)
        for kind, array in expected.items():
            assert ours.kind(kind) == kind
            np.testing.assert_array_equal(ours.read(kind).astype("float32"), array)


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (np.full((2, 32), 1e5), "F16", r"'w' holds values up to 1e\+05, which F16 cannot hold"),
        (np.full((2, 32), np.nan), "F32", r"'w' must be finite to be saved"),
        (np.full((2, 32), 1e9), "Q8_0", r"'w' holds values up to 1e\+09, which Q8_0 cannot hold"),
    ],
)
def test_a_tensor_that_cannot_be_written_leaves_nothing(tmp_path, array, kind, message):
    with pytest.raises(ValueError, match=message):
        gguf.write(tmp_path / "m.gguf", {}, InMemory({"w": array.astype("float32")}), kind)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"must be one of F32, F16, BF16, Q8_0; got 'Q4_0'"):
        gguf.write(tmp_path / "m.gguf", {}, InMemory({}), "Q4_0")
