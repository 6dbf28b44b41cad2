"""GGUF files as models: written by us, read by the gguf package and by us; and transformers'."""

import json

import numpy as np
import pytest
from keras import ops

import zoo
from tests import models
from tests import test_sentencepiece as spm
from tests.models import VOCAB_SIZE, with_weights
from zoo.checkpoints.formats.gguf import GgufFile, write
from zoo.tensors import InMemory
from zoo.tokenizers import BytePairTokenizer, SpecialTokens, Tokenizer

theirs = pytest.importorskip("gguf")

SIZES = {"vocab_size": VOCAB_SIZE, "num_layers": 2, "hidden_dim": 32, "max_length": 24}
LLAMA3 = {"kind": "llama3", "factor": 8.0, "low": 1.0, "high": 4.0, "original_length": 8192}
BACKBONES = {
    "llama": lambda: zoo.models.Llama(
        **SIZES, num_heads=4, num_kv_heads=2, head_dim=6, mlp_dim=40, tied=False
    ),
    "llama: biases": lambda: zoo.models.Llama(
        **SIZES, num_heads=4, num_kv_heads=1, attention_bias="all", mlp_bias=True
    ),
    "llama: llama3": lambda: zoo.models.Llama(
        **SIZES, num_heads=2, rotary_scaling=LLAMA3, rotary_base=5e5
    ),
    "llama: linear": lambda: zoo.models.Llama(
        **SIZES, num_heads=2, rotary_scaling={"kind": "linear", "factor": 2.0}
    ),
    "qwen2": lambda: zoo.models.Llama(
        **SIZES,
        num_heads=4,
        num_kv_heads=2,
        attention_bias="qkv",
        rotary_scaling={"kind": "yarn", "factor": 4.0, "original_length": 8},
    ),
    "qwen3": lambda: zoo.models.Llama(
        **SIZES, num_heads=4, num_kv_heads=2, head_dim=10, qk_norm=True, tied=False
    ),
    "smollm3": lambda: zoo.models.Llama(
        **{**SIZES, "num_layers": 5}, num_heads=4, rotary_pattern=[True, True, True, False]
    ),
    "gpt2": lambda: zoo.models.GPT(**SIZES, num_heads=4, mlp_dim=40, dropout=0.0),
}
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
IDS = models.random_ids(2, 9)


EVERYWHERE = ("llama", "gpt2")  # the rest is the same arithmetic
ROWS = [
    pytest.param(name, marks=[] if name in EVERYWHERE else [pytest.mark.slow_to_compile])
    for name in BACKBONES
]


def make(name, **arguments):
    backbone = with_weights(BACKBONES[name](), 0.3)
    return zoo.CausalLM(backbone, models.tokenizer(), chat_template=TEMPLATE, **arguments)


def logits(model):
    return ops.convert_to_numpy(ops.stop_gradient(model(IDS)))


@pytest.mark.parametrize("name", ROWS)
def test_a_model_comes_back_whole(name, tmp_path):
    model, path = make(name), tmp_path / "mine.gguf"
    zoo.save(model, path, format="gguf")
    again = zoo.load(path)
    np.testing.assert_allclose(logits(again), logits(model), rtol=1e-5, atol=1e-5)
    assert type(again.backbone) is type(model.backbone)
    assert again.chat_template == TEMPLATE
    assert again.special_tokens.stop == model.special_tokens.stop
    assert again.encode(models.TEXTS) == model.encode(models.TEXTS)
    assert again.tokenizer.special_ids == model.tokenizer.special_ids


@pytest.mark.backend_free
@pytest.mark.parametrize(("dtype", "kind"), [(None, "F32"), ("float16", "F16"), ("q8_0", "Q8_0")])
def test_the_gguf_package_reads_what_we_write(tmp_path, dtype, kind):
    model, path = make("llama"), tmp_path / "mine.gguf"
    zoo.save(model, str(path), weights_dtype=dtype, format="gguf")
    read = theirs.GGUFReader(path)
    assert read.get_field("general.architecture").contents() == "llama"
    assert read.get_field("llama.attention.head_count_kv").contents() == 2
    assert read.get_field("tokenizer.ggml.pre").contents() == "gpt-2"
    tensors = {tensor.name: tensor for tensor in read.tensors}
    kinds = {tensor.tensor_type.name for tensor in read.tensors if len(tensor.shape) > 1}
    assert kind in kinds <= {kind, "F16"}  # rows that do not fill blocks
    query = tensors["blk.0.attn_q.weight"]
    query = theirs.quants.dequantize(query.data, query.tensor_type)
    kernel = ops.convert_to_numpy(model.backbone.blocks[0].attention.qkv.kernel)[:, :24].T
    halves = query.reshape(4, 3, 2, 32).swapaxes(1, 2).reshape(24, 32)
    np.testing.assert_allclose(halves, kernel, atol=0.01)
    for one, other in zip(zoo.load(path).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=0 if dtype is None else 0.01)


# Tokens


@pytest.mark.backend_free
def test_special_tokens_and_the_start_of_texts_are_kept(tmp_path):
    tokenizer = BytePairTokenizer.train(models.TEXTS, 300, ("<s>", "</s>", "<|eot|>"))
    contents = json.loads(tokenizer.to_json())
    contents["post_processor"] = zoo.tokenizers.first_token.template("<s>", 0)
    tokenizer = BytePairTokenizer.from_json(json.dumps(contents))
    model = zoo.CausalLM(
        BACKBONES["llama"](), tokenizer, special_tokens=SpecialTokens(start=0, stop=(1, 2))
    )
    zoo.save(model, tmp_path / "mine.gguf", format="gguf")
    again = zoo.load(tmp_path / "mine.gguf")
    assert again.special_tokens.start == 0
    assert again.special_tokens.stop == (1, 2)
    assert again.tokenizer.first_id == 0
    assert again.begun(again.encode(["a", ""])) == [[0, *tokenizer.encode("a")], [0]]


@pytest.mark.backend_free
@pytest.mark.parametrize("spelled_by", ["normalizer", "pre_tokenizer", "no prefix"])
def test_pieces_of_sentencepiece_are_written_with_scores(spelled_by, tmp_path):
    contents = json.loads(spm.sentencepiece.to_json(spm_model()))
    steps = contents["normalizer"]["normalizers"]
    if spelled_by == "pre_tokenizer":  # as newer versions of transformers write it
        contents["normalizer"] = None
        spells = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}
        contents["pre_tokenizer"] = {**spells, "split": False}
    if spelled_by == "no prefix":
        contents["normalizer"]["normalizers"] = [s for s in steps if s["type"] != "Prepend"]
        del contents["decoder"]["decoders"][-1]
    tokenizer = Tokenizer.from_json(json.dumps(contents))
    sizes = {**SIZES, "vocab_size": tokenizer.vocab_size + 5, "num_heads": 4}
    model = zoo.CausalLM(zoo.models.Llama(**sizes), tokenizer)
    zoo.save(model, tmp_path / "mine.gguf", format="gguf")
    read = theirs.GGUFReader(tmp_path / "mine.gguf")
    assert read.get_field("tokenizer.ggml.model").contents() == "llama"
    types = read.get_field("tokenizer.ggml.token_type").contents()
    assert [types.count(kind) for kind in (2, 5, 6)] == [1, 5, 256]
    again = zoo.load(tmp_path / "mine.gguf").tokenizer
    lines = [
        line for line in spm.LINES if spelled_by != "pre_tokenizer" or line[:1] not in " \u2581"
    ]
    ids = tokenizer.encode(lines)
    assert again.encode(lines) == ids
    assert again.decode(ids) == tokenizer.decode(ids)


def spm_model():
    return spm.sentencepiece.parse(spm.train(**spm.MODELS["llama"]), "m.model")


# Refusals


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("make_model", "message"),
    [
        (lambda: zoo.CausalLM(BACKBONES["llama"]()), "holds its tokenizer, and this model has no"),
        (
            lambda: zoo.CausalLM(
                zoo.models.Llama(**SIZES, num_heads=2, sliding_window=4), models.tokenizer()
            ),
            "llama: its sliding_window and sliding_pattern do not fit: it has no window; got 4",
        ),
        (
            lambda: zoo.CausalLM(
                zoo.models.GPTNeoX(**SIZES, num_heads=2, rotary_dim=4), models.tokenizer()
            ),
            "model of llama, qwen2, qwen3, smollm3, gpt2, and this CausalLM over a GPTNeoX",
        ),
        (
            lambda: zoo.MaskedLM(models.tiny_backbone(), models.word_pieces()),
            "a masked_lm task is none",
        ),
        (
            lambda: zoo.CausalLM(BACKBONES["llama"](), models.word_pieces()),
            "cuts text as one of gpt-2, .*; this WordPiece tokenizer does otherwise",
        ),
    ],
)
def test_what_llama_cpp_has_not_is_refused_and_nothing_is_written(make_model, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        zoo.save(make_model(), tmp_path / "mine.gguf", format="gguf")
    assert not list(tmp_path.iterdir())


@pytest.mark.backend_free
def test_names_and_dtypes_are_checked(tmp_path):
    model = make("llama")
    with pytest.raises(ValueError, match=r"must end in '.gguf', as 'mine.gguf'; got"):
        zoo.save(model, tmp_path / "mine", format="gguf")
    with pytest.raises(ValueError, match="one of None, 'float16', 'bfloat16', 'q8_0'; got 'q4_0'"):
        zoo.save(model, tmp_path / "mine.gguf", "q4_0", format="gguf")
    with pytest.raises(FileNotFoundError, match=r"No GGUF file at '.*none.gguf'"):
        zoo.load(tmp_path / "none.gguf")
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(FileExistsError, match="is no file"):
        zoo.save(model, tmp_path / "folder.gguf", format="gguf")


def changed(path, metadata=None, tensors=None):
    """A file of ours, written again with other contents; None leaves out."""
    with GgufFile(path) as file:
        arrays = {name: np.array(file.read(name)) for name in file.names} | (tensors or {})
        said = file.metadata | (metadata or {})
    said = {key: value for key, value in said.items() if value is not None}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    write(path.with_name("other.gguf"), said, InMemory(arrays))
    return path.with_name("other.gguf")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "mine.gguf"
    zoo.save(make("llama"), path, format="gguf")
    return path


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("metadata", "tensors", "message"),
    [
        ({"general.architecture": "mamba"}, {}, "must be one of llama, qwen2, .*; got 'mamba'"),
        ({"general.architecture": None}, {}, "general.architecture must be one of"),
        ({"llama.block_count": None}, {}, "it must give 'block_count'"),
        ({"llama.block_count": 3}, {}, "must hold the 37,856 numbers .* got 31,648"),
        ({"llama.block_count": 1}, {}, "unknown, such as 'blk.1"),
        ({"llama.block_count": 2**20}, {}, "num_layers must be an integer from 1 to 256"),
        ({"llama.block_count": "2"}, {}, "num_layers must be an integer"),
        ({"llama.attention.head_count": 0}, {}, "num_heads must be an integer from 1"),
        ({"llama.attention.head_count_kv": 3}, {}, "num_heads must be a multiple of num_kv_heads"),
        ({"llama.attention.head_count_kv": [2, 2]}, {}, "num_kv_heads must be an integer"),
        ({"llama.attention.key_length": 8}, {}, "must be equal; got"),
        ({"llama.attention.layer_norm_rms_epsilon": np.float32("nan")}, {}, "norm_epsilon must be"),
        ({"llama.rope.freq_base": np.float32("inf")}, {}, "rotary_base must be a number"),
        ({"llama.rope.scaling.type": "longrope"}, {}, "must be none, linear or yarn"),
        ({"llama.context_length": 2**30}, {}, "max_length must be an integer"),
        ({"llama.embedding_length": 64}, {}, "must hold the 63,296 numbers .* got 31,648"),
        ({"llama.feed_forward_length": 38}, {}, r"must have the shape \(.*; got"),
        ({"tokenizer.chat_template": 3}, {}, "tokenizer.chat_template must be a text of .*; got 3"),
        (
            {"tokenizer.chat_template": "a" * 2**17},
            {},
            "tokenizer.chat_template must be a text of at most",
        ),
        ({}, {"blk.0.attn_q.weight": None}, "must hold the 31,648 numbers"),
        (
            {},
            {"blk.0.attn_q.weight": None, "stray": np.ones((24, 32), "float32")},
            "1 are missing, such as 'blk.0.attn_q.weight'.* and 1 are unknown, such as 'stray'",
        ),
        ({}, {"stray.weight": np.ones((2, 2), "float32")}, "unknown, such as 'stray.weight'"),
        ({}, {"rope_freqs.weight": np.array([2.0, 1.0, 3.0], "float32")}, "factors of Llama 3"),
        ({}, {"rope_freqs.weight": np.full(3, np.nan, "float32")}, "factors of Llama 3"),
    ],
)
def test_a_file_that_lies_about_its_model_is_refused_by_name(sound, metadata, tensors, message):
    def write_unchecked(array, kind, name):
        return np.ascontiguousarray(array, "float32").reshape(-1).view("uint8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.checkpoints.formats.gguf.blocks.encode", write_unchecked)
        path = changed(sound, metadata, tensors)
    with pytest.raises(ValueError, match=message) as error:
        zoo.load(path)
    assert "other.gguf" in str(error.value)


@pytest.mark.backend_free
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["blk.1.ffn_up.weight", "output_norm.weight", "output.weight"])
def test_no_nan_and_no_infinity_loads(sound, bad, place):
    with GgufFile(sound) as file:
        array = np.array(file.read(place))
    array.flat[-1] = bad

    def write_unchecked(array, kind, name):
        return np.ascontiguousarray(array, "float32").reshape(-1).view("uint8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.checkpoints.formats.gguf.blocks.encode", write_unchecked)
        path = changed(sound, tensors={place: array})
    with pytest.raises(ValueError, match=f"'{place}' in .*other.gguf holds NaN or infinity"):
        zoo.load(path)
