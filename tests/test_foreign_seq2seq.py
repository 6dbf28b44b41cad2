"""Encoder-decoders of others: their numbers from their own formats, and refusals that say why."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from zoo.training import packages, pretrained
from zoo.training.foreign import annalog

import zoo
from benchmarks.hostile.torch_zip import torch_zip

pytestmark = pytest.mark.slow_to_compile

backend_free = pytest.mark.backend_free
DATA = Path(__file__).parent / "data"

TOKENS = [
    "<unk>",
    "<pad>",
    "<sos>",
    "<eos>",
    *"cC()1O2=N",
    "Cl",
    "Br",
    "[C@H]",
    "%10",
    "\\",
    "[nH]",
]
HIDDEN, MLP, HEADS, LAYERS, POSITIONS = 16, 12, annalog.NUM_HEADS, 2, 14
SOURCES = ["CCO", "c1cc(Cl)cc1", "C[C@H](Br)N", "[Se]\\O%10"]


def random_state():
    """Tensors with the names of ANNalog's, of another size."""
    rng = np.random.default_rng(0)
    state = {}

    def put(name, *shape, centre=0.0):
        state[name] = (centre + rng.normal(size=shape) * 0.3).astype("float32")

    def linear(name, inputs, outputs):
        put(f"{name}.weight", outputs, inputs)
        put(f"{name}.bias", outputs)

    for side, attentions in (("encoder", ["self"]), ("decoder", ["self", "encoder"])):
        put(f"{side}.tok_embedding.weight", len(TOKENS), HIDDEN)
        put(f"{side}.pos_embedding.weight", POSITIONS, HIDDEN)
        for i in range(LAYERS):
            layer = f"{side}.layers.{i}"
            norms = [{"self": "self_attn", "encoder": "enc_attn"}[name] for name in attentions]
            for norm in [*norms, "ff"]:
                put(f"{layer}.{norm}_layer_norm.weight", HIDDEN, centre=1.0)
                put(f"{layer}.{norm}_layer_norm.bias", HIDDEN)
            for name in attentions:
                for part in "qkvo":
                    linear(f"{layer}.{name}_attention.fc_{part}", HIDDEN, HIDDEN)
            linear(f"{layer}.positionwise_feedforward.fc_1", HIDDEN, MLP)
            linear(f"{layer}.positionwise_feedforward.fc_2", MLP, HIDDEN)
    linear("decoder.fc_out", HIDDEN, len(TOKENS))
    return state


def make_files(state, tokens=TOKENS):
    return {annalog.CHECKPOINT: torch_zip(state), annalog.VOCABULARY: pickle_of(tokens)}


def pickle_of(tokens):
    """The pickle of `{"itos": tokens}`."""
    texts = [b"X" + len(t.encode()).to_bytes(4, "little") + t.encode() for t in ("itos", *tokens)]
    return b"\x80\x02}" + texts[0] + b"](" + b"".join(texts[1:]) + b"es."


class Reference:
    """ANNalog's arithmetic in NumPy, in float64, one sequence at a time."""

    def __init__(self, state):
        self.state = {name: array.astype("float64") for name, array in state.items()}

    def linear(self, name, x):
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def residual(self, name, x, y):
        x = x + y
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def attend(self, name, x, memory, is_causal=False):
        outputs = []
        query, key, value = (
            self.linear(f"{name}.fc_{part}", y).reshape(len(y), HEADS, -1)
            for part, y in (("q", x), ("k", memory), ("v", memory))
        )
        for i in range(len(x)):
            seen = slice(i + 1 if is_causal else None)
            scores = np.einsum("hd,khd->hk", query[i], key[seen]) / query.shape[-1] ** 0.5
            weight = np.exp(scores - scores.max(-1, keepdims=True))
            weight /= weight.sum(-1, keepdims=True)
            outputs.append(np.einsum("hk,khd->hd", weight, value[seen]).reshape(-1))
        return self.linear(f"{name}.fc_o", np.array(outputs))

    def feed_forward(self, layer, x):
        name = f"{layer}.positionwise_feedforward"
        y = self.linear(f"{name}.fc_2", np.maximum(self.linear(f"{name}.fc_1", x), 0))
        return self.residual(f"{layer}.ff_layer_norm", x, y)

    def embed(self, side, ids):
        vectors = self.state[f"{side}.tok_embedding.weight"][ids] * HIDDEN**0.5
        return vectors + self.state[f"{side}.pos_embedding.weight"][: len(ids)]

    def logits(self, source, target):
        memory = self.embed("encoder", source)
        for i in range(LAYERS):
            layer = f"encoder.layers.{i}"
            y = self.attend(f"{layer}.self_attention", memory, memory)
            memory = self.feed_forward(
                layer, self.residual(f"{layer}.self_attn_layer_norm", memory, y)
            )
        x = self.embed("decoder", target)
        for i in range(LAYERS):
            layer = f"decoder.layers.{i}"
            y = self.attend(f"{layer}.self_attention", x, x, is_causal=True)
            x = self.residual(f"{layer}.self_attn_layer_norm", x, y)
            y = self.attend(f"{layer}.encoder_attention", x, memory)
            x = self.residual(f"{layer}.enc_attn_layer_norm", x, y)
            x = self.feed_forward(layer, x)
        return self.linear("decoder.fc_out", x)

    def greedy(self, source, count):
        target = [2]
        while len(target) <= count and target[-1] != 3:
            target.append(int(self.logits(source, target)[-1].argmax()))
        return [token for token in target[1:] if token != 3]


def ids_of(smiles):
    pieces = re.findall(r"\[[^\]]*\]|%\d\d|Br|Cl|.", smiles)
    return [TOKENS.index(piece) if piece in TOKENS else 0 for piece in pieces]


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def model(state):
    return annalog.read(make_files(state))


def numpy_of(x):
    return keras.ops.convert_to_numpy(x)


def values(model):
    return {variable.path: numpy_of(variable.value) for variable in model.weights}


# ANNalog


def test_logits_are_theirs(state, model):
    reference = Reference(state)
    source, target = [2, *ids_of(SOURCES[1]), 3], [2, 5, 9, 4]
    padded = np.array([[*source, 0, 0], [2, 5, 3, *[0] * 11]], "int32")
    inputs = {
        "token_ids": padded,
        "padding_mask": np.arange(14) < np.array([[12], [3]]),
        "decoder_token_ids": np.array([target, target], "int32"),
    }
    logits = numpy_of(model(inputs))
    np.testing.assert_allclose(logits[0], reference.logits(source, target), atol=2e-5)
    np.testing.assert_allclose(logits[1], reference.logits([2, 5, 3], target), atol=2e-5)


def test_greedy_outputs_are_theirs(state, model):
    reference = Reference(state)
    sources = [ids_of(smiles) for smiles in SOURCES]
    expected = [reference.greedy([2, *ids, 3], 10) for ids in sources]
    assert len(set(map(tuple, expected))) > 1
    assert model.generate(sources, max_new_tokens=10) == expected
    texts = model.generate(SOURCES, max_new_tokens=10)
    for text, target in zip(texts, expected, strict=True):
        assert text == "".join(TOKENS[i] for i in target if i >= len(annalog.SPECIAL))


def test_scores_are_theirs(state, model):
    targets = ["CO", "c1(Br)c1"]
    nats, counts = model.score(["CCO", "N"], targets)
    for source, target, ours, count in zip(["CCO", "N"], targets, nats, counts, strict=True):
        row = [2, *ids_of(target), 3]
        logits = Reference(state).logits([2, *ids_of(source), 3], row[:-1])
        log_sums = np.log(np.exp(logits).sum(-1))
        expected = (log_sums - logits[np.arange(len(logits)), row[1:]]).sum()
        np.testing.assert_allclose(ours, expected, rtol=1e-5)
        assert count == len(row) - 1


def test_a_preset_keeps_it(model, tmp_path):
    zoo.save(model, tmp_path / "preset")
    again = zoo.load(tmp_path / "preset")
    assert again.tokenizer == model.tokenizer
    assert (again.source_start, again.backbone.get_config()["tied"]) == (True, False)
    for name, array in values(model).items():
        np.testing.assert_array_equal(values(again)[name], array)


@pytest.mark.slow_to_compile
def test_the_new_tables_and_head_are_trained(model):
    copy = zoo.Seq2SeqLM.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    before = values(copy)
    nats, counts = model.score(SOURCES[:2], SOURCES[:2])
    copy.compile(keras.optimizers.Adam(0.01))
    copy.fit(SOURCES[:2], SOURCES[:2], epochs=3, verbose=0)
    loss = copy.evaluate(SOURCES[:2], SOURCES[:2], return_dict=True, verbose=0)["loss"]
    assert loss < nats.sum() / counts.sum() - 0.1
    nats, counts = copy.score(SOURCES[:2], SOURCES[:2])
    np.testing.assert_allclose(loss, nats.sum() / counts.sum(), rtol=1e-5)
    for name in ("token_embedding/embeddings", "target_embedding/embeddings", "head/bias"):
        assert not np.array_equal(values(copy)[name], before[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("decoder.layers.1.encoder_attention.fc_k.bias") is None,
            r"1 are missing, such as 'decoder\.layers\.1\.encoder_attention\.fc_k\.bias'",
        ),
        (lambda s: s.update(extra=np.zeros(2, "f4")), r"1 are unknown, such as 'extra'"),
        (
            lambda s: s.update({"decoder.fc_out.weight": np.zeros((HIDDEN, 19), "f4")}),
            r"'decoder\.fc_out\.weight' must have the shape \(19, 16\).*got \(16, 19\)",
        ),
        (
            lambda s: s.update({"decoder.fc_out.bias": np.zeros(19, "i8")}),
            r"'decoder\.fc_out\.bias' must be float32.*got int64",
        ),
        (
            lambda s: s.update({"decoder.fc_out.bias": np.full(19, np.nan, "f4")}),
            r"must be finite, but 'decoder\.fc_out\.bias'",
        ),
        (
            lambda s: s.pop("encoder.tok_embedding.weight") is None,
            r"must have the tensors of Trevett's Transformer.*differs in 'encoder\.tok_emb",
        ),
    ],
    ids=["missing", "unknown", "shape", "dtype", "nan", "other"],
)
def test_other_tensors_are_refused(state, change, message):
    changed = dict(state)
    change(changed)
    with pytest.raises(ValueError, match=message):
        annalog.read(make_files(changed))


@backend_free
def test_vocabularies_that_make_no_sense_are_refused():
    for tokens in (["<unk>", "<pad>", "<sos>", "C"], [*TOKENS, "C"]):
        with pytest.raises(
            ValueError, match=r"must have the tokens <unk>, <pad>, <sos>, <eos>, an"
        ):
            annalog.read_tokens(pickle_of(tokens))
    with pytest.raises(ValueError, match=r"must be a dict with a list of texts, 'itos'"):
        annalog.read_tokens(b"\x80\x02].")
    with pytest.raises(ValueError, match=r"names 'os\.system', which could run code"):
        annalog.read_tokens(b"\x80\x02cos\nsystem\n.")


@backend_free
def test_smiles_are_split_into_atoms_rings_and_bonds():
    tokenizer = annalog.make_tokenizer(TOKENS)
    for smiles in (*SOURCES, "[Br]Br[]C%1%100", "Cl%10l[C@H", "C\n\nC <eos>", "[" * 150, ""):
        pieces = re.findall(r"(?s)\[[^\]]*\]|%\d\d|Br|Cl|.", smiles)
        expected = [TOKENS.index(piece) if piece in TOKENS else 0 for piece in pieces]
        assert tokenizer.encode(smiles) == expected
        known = "".join(piece for piece in pieces if piece in TOKENS)
        assert tokenizer.decode(expected) == known
    roles = (tokenizer.unknown_id, tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id)
    assert roles == (0, 1, 2, 3)


def test_sources_have_room_for_both_tokens(model):
    fits = "C" * (POSITIONS - 2)
    model.generate(fits, max_new_tokens=1)
    with pytest.raises(
        ValueError, match=r"A source and its start and end tokens must fit into the"
    ):
        model.generate(fits + "C")
    assert model.pair_format.source_row([5] * 20) == [2, *[5] * (POSITIONS - 2), 3]
    with pytest.raises(ValueError, match=r"1 of 1 pairs have a source of more than 14 tokens"):
        model.score([fits + "C"], ["C"])


@pytest.fixture
def package(state, tmp_path, monkeypatch):
    """The package of a small ANNalog, in an empty cache."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "mini.whl"
    with zipfile.ZipFile(archive, "w") as file:
        for name, contents in make_files(state).items():
            file.writestr(f"mini/{name}", contents)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    package = packages.Package("test", "mini", "1", "mini.whl", digest)
    monkeypatch.setitem(
        packages.CLIENTS, "test", lambda _, folder: shutil.copy(archive, folder / "mini.whl")
    )
    return package


def test_a_checkpoint_is_fetched_as_a_preset(package, model, tmp_path, monkeypatch):
    files = (annalog.CHECKPOINT, annalog.VOCABULARY)
    checkpoint = pretrained.Checkpoint(package, "MIT", "mini", files, annalog.read)
    monkeypatch.setitem(pretrained.CHECKPOINTS, "mini", checkpoint)
    folder = pretrained.fetch("mini")
    assert {path.name for path in folder.iterdir()} == set(pretrained.PRESET)
    card = (folder / "README.md").read_text()
    assert "license: mit" in card
    assert package.sha256 in card
    loaded = values(zoo.load(folder))
    for name, array in values(model).items():
        np.testing.assert_array_equal(loaded[name], array)
    (tmp_path / "cache/corpora/mini.whl").unlink()
    monkeypatch.delitem(packages.CLIENTS, "test")
    assert pretrained.fetch("mini") == folder


def test_annalog_writes_what_it_wrote():
    if packages.cached(pretrained.info("annalog").package) is None:
        pytest.skip("the package with ANNalog is not in the cache")
    cases = json.loads((DATA / "golden_annalog.json").read_text(encoding="utf-8"))
    model = zoo.load(pretrained.fetch("annalog"))
    sources, targets = ([case[key] for case in cases] for key in ("source", "target"))
    assert model.tokenizer.encode(sources) == [case["source_ids"] for case in cases]
    assert model.generate(sources, max_new_tokens=101, batch_size=50) == targets
    assert sum(source != target for source, target in zip(sources, targets, strict=True)) > 15
    nats, _ = model.score(sources[:8], targets[:8])
    np.testing.assert_allclose(nats, [case["nats"] for case in cases[:8]], atol=1e-4)
