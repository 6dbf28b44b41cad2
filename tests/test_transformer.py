"""The encoder-decoder Transformer: cached = uncached, padding and later tokens change nothing."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import random_ids, tiny_transformer, with_weights
from zoo import hub
from zoo.config import read_config
from zoo.layers import MultiHeadAttention
from zoo.models import Transformer
from zoo.sizes import count_parameters

VARIANTS = {
    "post_norm": {},
    "pre_norm": {"pre_norm": True},
    "learned": {"position": "learned"},
    "relative": {"position": "relative", "pre_norm": True},
    "untied": {"tied": False},
}
MASK = np.arange(7) < np.array([[7], [4]])


def make(num_layers=1, **overrides):
    arguments = {"vocab_size": 300, "num_heads": 2, "hidden_dim": 16, "dropout": 0.0, **overrides}
    return with_weights(Transformer(num_layers=num_layers, max_length=16, **arguments))


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


def test_cached_decoding_equals_the_uncached_forward(model, hidden):
    ids = inputs()["decoder_token_ids"]
    memory = model.encode(inputs()["token_ids"], MASK)
    context = model.project_context(memory)
    pieces, cache = [], model.make_cache(context, 8)
    piece, cache = model.decode(ids[:, :3], cache, 0, context, MASK)
    pieces.append(numpy_of(piece))
    for i in range(3, 6):
        start = ops.full((2,), i, dtype="int32")
        piece, cache = model.decode(ids[:, i : i + 1], cache, start, context, MASK)
        pieces.append(numpy_of(piece))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), hidden, atol=2e-5)


def test_padding_of_source_and_target_changes_nothing(model, hidden):
    x = inputs()
    cut = {**x, "token_ids": x["token_ids"][1:, :4], "padding_mask": None}
    cut["decoder_token_ids"] = x["decoder_token_ids"][1:]
    np.testing.assert_allclose(numpy_of(model(cut)), hidden[1:], atol=2e-5)
    padded = np.concatenate([x["decoder_token_ids"], random_ids(2, 3, seed=2)], axis=1)
    mask = np.arange(9) < np.array([[6], [6]])
    padded = {**x, "decoder_token_ids": padded, "decoder_padding_mask": mask}
    np.testing.assert_allclose(numpy_of(model(padded))[:, :6], hidden, atol=2e-5)


def test_later_target_tokens_change_nothing_and_all_source_tokens_matter(model, hidden):
    x = inputs()
    changed = x["decoder_token_ids"].copy()
    changed[:, 4] = 299 - changed[:, 4]
    changed = numpy_of(model({**x, "decoder_token_ids": changed}))
    np.testing.assert_allclose(changed[:, :4], hidden[:, :4], atol=2e-5)
    assert np.abs(changed[:, 4:] - hidden[:, 4:]).max(axis=-1).min() > 1e-3
    for place in range(7):
        source = x["token_ids"].copy()
        source[0, place] = 299 - source[0, place]
        seen = numpy_of(model({**x, "token_ids": source}))
        assert np.abs(seen[0] - hidden[0]).max(axis=-1).min() > 1e-5
        np.testing.assert_allclose(seen[1], hidden[1], atol=2e-5)


def test_comes_back_from_its_config(model, hidden):
    again = Transformer.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(numpy_of(again(inputs())), hidden)


def test_variants_differ():
    outputs = [numpy_of(make(**arguments)(inputs())) for arguments in VARIANTS.values()]
    for i, one in enumerate(outputs):
        for other in outputs[:i]:
            assert np.abs(one - other).max() > 1e-2


def test_blocks_share_one_relative_bias_a_side():
    model = make(num_layers=2, position="relative")
    paths = [weight.path for weight in model.weights if "positions" in weight.path]
    assert sorted(paths) == [
        "decoder_positions/table/embeddings",
        "encoder_positions/table/embeddings",
    ]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("pre_norm", [False, True])
def test_equals_the_transformer_of_pytorch(pre_norm):
    torch = pytest.importorskip("torch")
    model = make(num_layers=2, mlp_dim=24, pre_norm=pre_norm, norm_epsilon=1e-5)
    theirs = torch.nn.Transformer(
        16, 2, 2, 2, 24, dropout=0.0, batch_first=True, norm_first=pre_norm
    )
    if not pre_norm:  # theirs ends both stacks with norms even so
        theirs.encoder.norm = theirs.decoder.norm = None
    theirs.load_state_dict(dict(as_pytorch(model, pre_norm)))
    table = numpy_of(model.token_embedding.embeddings)
    x = inputs()
    sides = [4 * table[x[name]] for name in ("token_ids", "decoder_token_ids")]
    source, target = (torch.tensor(side + sinusoids(side.shape[1])) for side in sides)
    padded = torch.tensor(~MASK)
    with torch.no_grad():
        expected = theirs(
            source,
            target,
            tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(6),
            src_key_padding_mask=padded,
            memory_key_padding_mask=padded,
            tgt_is_causal=True,
        )
    np.testing.assert_allclose(numpy_of(model(x)), expected.numpy(), atol=2e-5)


def sinusoids(length):
    angle = np.arange(length)[:, None] / 10_000 ** (np.arange(0, 16, 2) / 16)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, 16).astype("float32")


def as_pytorch(model, pre_norm):
    import torch

    ours = {weight.path: torch.tensor(numpy_of(weight)) for weight in model.weights}

    def linear(name, *kernels):
        bias = "_bias" if name.endswith("in_proj") else ".bias"
        kernel = "_weight" if name.endswith("in_proj") else ".weight"
        yield name + kernel, torch.cat([ours[f"{k}/kernel"].T for k in kernels])
        yield name + bias, torch.cat([ours[f"{k}/bias"] for k in kernels])

    def norm(name, path):
        yield f"{name}.weight", ours[f"{path}/gamma"]
        yield f"{name}.bias", ours[f"{path}/beta"]

    for side in ("encoder", "decoder"):
        for i in range(2):
            name, path = f"{side}.layers.{i}", f"{side}_block_{i}"
            yield from linear(f"{name}.self_attn.in_proj", f"{path}/attention/qkv")
            yield from linear(f"{name}.self_attn.out_proj", f"{path}/attention/output")
            norms = ["attention_norm", "feed_forward_norm"]
            if side == "decoder":
                cross = f"{path}/cross_attention"
                kernels = f"{cross}/query", f"{cross}/key_value"
                yield from linear(f"{name}.multihead_attn.in_proj", *kernels)
                yield from linear(f"{name}.multihead_attn.out_proj", f"{cross}/output")
                norms.insert(1, "cross_attention_norm")
            for number, ours_ in enumerate(norms, 1):
                yield from norm(f"{name}.norm{number}", f"{path}/{ours_}")
            yield from linear(f"{name}.linear1", f"{path}/feed_forward/inner")
            yield from linear(f"{name}.linear2", f"{path}/feed_forward/outer")
        if pre_norm:
            yield from norm(f"{side}.norm", f"{side}_norm")


def test_keys_of_a_source_are_computed_once(monkeypatch):
    calls = []
    project = MultiHeadAttention.project_context

    def counted(self, context):
        calls.append(self.path)
        return project(self, context)

    monkeypatch.setattr(MultiHeadAttention, "project_context", counted)
    model = tiny_transformer()
    calls.clear()
    model.generate("The sea", max_new_tokens=9)
    assert len(calls) == 1


@pytest.mark.backend_free
@pytest.mark.parametrize(("name", "millions"), [("transformer-base", 65), ("transformer-big", 213)])
def test_sizes_are_those_of_the_paper(name, millions):
    """Table 3, with the "about 37000 tokens" of section 5.1: the paper rounds."""
    count = count_parameters(read_config(hub.resolve(name) / "config.json"))
    assert count / 1e6 == pytest.approx(millions, rel=0.03)
    assert f"{count:,} parameters" in (hub.resolve(name) / "README.md").read_text(encoding="utf-8")


def test_starts_with_a_loss_near_that_of_a_guess():
    model = Transformer(vocab_size=500, num_layers=2, num_heads=4, hidden_dim=64, dropout=0.0)
    x = {"token_ids": random_ids(2, 9), "decoder_token_ids": random_ids(2, 9)}
    hidden = numpy_of(model(x))
    np.testing.assert_allclose((hidden**2).mean(-1), 1, atol=1e-2)  # a norm comes last
    logits = numpy_of(model.logits(hidden))
    assert logits.std() == pytest.approx(1, rel=0.3)
    np.testing.assert_allclose(
        logits, hidden @ numpy_of(model.head_table()).T, rtol=1e-4, atol=1e-4
    )


def test_dropout_acts_in_training_alone():
    model = make(dropout=0.5)
    x = inputs()
    np.testing.assert_array_equal(numpy_of(model(x)), numpy_of(model(x, training=False)))
    assert np.abs(numpy_of(model(x, training=True)) - numpy_of(model(x))).max() > 0.1


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision_stays_finite(dtype):
    model = make(dtype=dtype, position="relative")
    hidden = model(inputs())
    assert keras.backend.standardize_dtype(hidden.dtype) == dtype.removeprefix("mixed_")
    assert np.isfinite(numpy_of(hidden)).all()


def test_an_unknown_position_is_refused():
    with pytest.raises(
        ValueError, match="position must be one of sinusoidal, learned, relative; got 'rotary'"
    ):
        make(position="rotary")
