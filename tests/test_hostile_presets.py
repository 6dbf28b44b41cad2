"""KerasHub presets and SentencePiece folders that lie: refused in one sentence that names the file.

The presets are written by zoo.save, so that KerasHub is not needed.
"""

import json
import shutil
import time

import h5py
import numpy as np
import pytest

import zoo
from tests.models import VOCAB_SIZE, tiny_gpt, with_weights
from tests.test_hostile_files import mutant, outcome
from tests.test_sentencepiece import train
from zoo import manifest
from zoo.checkpoints.keras_hub.reading import read_config
from zoo.checkpoints.keras_hub.weights import HubTensors
from zoo.checkpoints.pieces import read_fairseq, read_marian, read_pieces

pytestmark = pytest.mark.backend_free

WEIGHTS, INDEX = "model.weights.h5", "model.weights.json"
TABLE = "layers/reversible_embedding/vars/0"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A preset of KerasHub, of a GPT; and one of a classifier."""
    folder = tmp_path_factory.mktemp("sound")
    zoo.save(tiny_gpt(with_tokenizer=False), folder / "gpt", format="keras_hub")
    sizes = {"vocab_size": VOCAB_SIZE, "num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    bert = zoo.models.BERT(**sizes, max_length=16, activation="gelu_tanh")
    classifier = zoo.TextClassifier(bert, labels=["no", "yes"])
    zoo.save(with_weights(classifier), folder / "bert", format="keras_hub")
    return folder


def json_of(name, **changes):
    """A change of a JSON file; of its config, where a key has a dot."""

    def change(folder):
        contents = json.loads((folder / name).read_text(encoding="utf-8"))
        for key, value in changes.items():
            target = contents["config"] if key.startswith("config_") else contents
            target[key.removeprefix("config_")] = value
        (folder / name).write_text(json.dumps(contents), encoding="utf-8")

    return change


def file_of(name, data):
    def change(folder):
        (folder / name).write_bytes(data)

    return change


def weights_of(change_file):
    def change(folder):
        with h5py.File(folder / WEIGHTS, "a") as file:
            change_file(file)

    return change


def index_of(*names):
    def change(folder):
        (folder / WEIGHTS).unlink()
        places = {f"/layers/{i}/vars": name for i, name in enumerate(names)}
        (folder / INDEX).write_text(json.dumps({"weight_map": places}), encoding="utf-8")

    return change


def replaced(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return weights_of(change)


def linked(file):
    del file[TABLE]
    file[TABLE] = h5py.ExternalLink("/etc/passwd", "x")


def compressed(file):
    del file[TABLE]
    file.create_dataset(TABLE, data=np.zeros((VOCAB_SIZE, 16), "float32"), compression="gzip")


def unwritten(file):
    del file[TABLE]
    file.create_dataset(TABLE, shape=(VOCAB_SIZE, 16), dtype="float32")


CONFIG = "config.json"
OTHER = b'{"class_name": "X", "config": {}, "registered_name": "keras_hub>X"}'
GPT = {
    "a class of another library": (
        json_of(CONFIG, class_name="Lambda", registered_name="keras_hub>Lambda"),
        "config.json: class_name must be one of GPT2Backbone, ",
    ),
    "two names": (json_of(CONFIG, class_name="os.system"), "registered_name must be"),
    "no config": (json_of(CONFIG, config=None), "it must have a class_name and its config"),
    "no class": (json_of(CONFIG, class_name=["x"]), "it must have a class_name and its config"),
    "an unknown argument": (json_of(CONFIG, config_lambda="x"), "'lambda' is not known of a GPT2"),
    "a size that is text": (json_of(CONFIG, config_num_layers="2"), "num_layers must be an int"),
    "a size without end": (json_of(CONFIG, config_num_layers=10**9), "num_layers must be an int"),
    "heads that do not divide": (json_of(CONFIG, config_num_heads=7), "multiple of num_heads"),
    "another size": (json_of(CONFIG, config_hidden_dim=32), "must have the shape"),
    "another depth": (json_of(CONFIG, config_num_layers=2), "must hold exactly the weights"),
    "a config cut short": (file_of(CONFIG, b'{"registered_name": "keras_hub>'), "config.json"),
    "a task of another class": (
        file_of("task.json", OTHER),
        "task.json: class_name must be one of GPT2CausalLM, GPT2Backbone; got 'X'",
    ),
    "a tokenizer of another class": (
        file_of("tokenizer.json", OTHER),
        "tokenizer.json: class_name must be one of GPT2Tokenizer",
    ),
    "weights that are a pickle": (file_of(WEIGHTS, b"\x80\x02}." + bytes(40)), WEIGHTS),
    "empty weights": (file_of(WEIGHTS, b""), WEIGHTS),
    "a stray weight": (
        weights_of(lambda file: file.create_dataset("layers/x/vars/0", data=[1.0])),
        "1 are unknown, such as 'layers/x/vars/0'",
    ),
    "a weight of another shape": (replaced(TABLE, np.zeros((2, 2), "float32")), "must have the sh"),
    "a weight that is text": (replaced(TABLE, np.array([b"x"])), "must be plain numbers"),
    "a weight that is no number": (
        replaced(TABLE, np.full((VOCAB_SIZE, 16), np.nan, "float32")),
        "holds NaN or infinity",
    ),
    "a weight elsewhere": (weights_of(linked), "1 are missing"),
    "a weight that is compressed": (weights_of(compressed), "must be plain numbers"),
    "a weight that nobody wrote": (weights_of(unwritten), "must be plain numbers"),
    "an index out of the folder": (index_of("../gpt/model.weights.h5"), "name of a file in the sa"),
    "an index of nothing": (index_of(), "weight_map must give the file"),
    "an index of a number": (index_of(3), "weight_map must give the file"),
    "a missing shard": (index_of("model_00000.weights.h5"), "model_00000.weights.h5"),
}
BERT = {
    "very many classes": (json_of("task.json", config_num_classes=10**9), "num_classes must be"),
    "classes that are text": (json_of("task.json", config_num_classes="2"), "num_classes must be"),
    "an unknown activation": (json_of("task.json", config_activation="relu"), "activation must be"),
    "labels that are numbers": (json_of("metadata.json", labels=[1, 2]), "labels must be"),
    "another head": (
        json_of(
            "task.json",
            class_name="BertMaskedLM",
            registered_name="keras_hub>BertMaskedLM",
        ),
        "the head of a BertMaskedLM cannot be converted",
    ),
}
CASES = [("gpt", name) for name in GPT] + [("bert", name) for name in BERT]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_preset_that_lies_is_refused(sound, tmp_path, kind, case):
    change, message = {"gpt": GPT, "bert": BERT}[kind][case]
    folder = tmp_path / kind
    shutil.copytree(sound / kind, folder)
    (folder / manifest.NAME).unlink(missing_ok=True)  # which would tell by itself
    change(folder)
    before = time.perf_counter()
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        zoo.load(folder)
    assert time.perf_counter() - before < 5  # of a machine with other work; a second alone
    assert message in str(error.value)
    assert kind in str(error.value)
    assert len(str(error.value)) < 700


def test_all_tables_have_a_sound_preset(sound):
    """The cases above fail for their change alone."""
    assert isinstance(zoo.load(sound / "gpt"), zoo.CausalLM)
    assert list(zoo.load(sound / "bert").labels) == ["no", "yes"]


def read_all(folder):
    with HubTensors(folder) as tensors:
        return read_config(folder), [tensors.read(name) for name in tensors.names]


def test_mutants_are_refused_or_read(sound, tmp_path, request):
    """Without the manifest, which knows of every changed byte."""
    folder = tmp_path / "gpt"
    shutil.copytree(sound / "gpt", folder)
    (folder / manifest.NAME).unlink()
    rng, refused = np.random.default_rng(0), 0
    count = 10_000 if request.config.getoption("everywhere") else 300
    for name in (WEIGHTS, "config.json", "task.json"):
        data = (folder / name).read_bytes()
        for _ in range(count // 3):
            (folder / name).write_bytes(mutant(data, rng))
            _, error = outcome(read_all, folder)
            if error is not None:
                refused += 1
                assert name in error, error
                assert len(error) < 1500
        (folder / name).write_bytes(data)
    assert refused > count / 10


MARIAN = {"source.spm": train(), "target.spm": train()}
VOCABULARY = {"</s>": 0, "<unk>": 1, "▁the": 2, "<pad>": 3}
PIECES = {
    "no integer ids": (read_marian, {**MARIAN, "vocab.json": {"a": "0"}}, "a whole number"),
    "ids with gaps": (read_marian, {**MARIAN, "vocab.json": {"<unk>": 5}}, "ids 0, 1, 2 and so on"),
    "ids without end": (read_marian, {**MARIAN, "vocab.json": {"<unk>": 2**70}}, "ids 0, 1, 2"),
    "no unknown": (read_marian, {**MARIAN, "vocab.json": {"a": 0}}, "one of them <unk>"),
    "no object": (read_marian, {**MARIAN, "vocab.json": []}, "must be an object"),
    "two vocabularies": (
        read_marian,
        {**MARIAN, "vocab.json": VOCABULARY, "target_vocab.json": VOCABULARY},
        "must share one vocabulary",
    ),
    "no target": (
        read_marian,
        {"source.spm": MARIAN["source.spm"], "vocab.json": VOCABULARY},
        "target.spm",
    ),
    "a model of another kind": (
        read_marian,
        {**MARIAN, "target.spm": train(model_type="bpe"), "vocab.json": VOCABULARY},
        "target.spm must be a Unigram model; got BPE",
    ),
    "a model cut short": (
        read_marian,
        {**MARIAN, "source.spm": MARIAN["source.spm"][:99], "vocab.json": VOCABULARY},
        "source.spm",
    ),
    "another order": (
        read_fairseq,
        {"sentencepiece.bpe.model": train(pad_id=0, eos_id=1, unk_id=2, bos_id=3)},
        "begin with the pieces <unk>, <s> and </s>",
    ),
    "an unknown language": (
        read_fairseq,
        {
            "sentencepiece.bpe.model": train(),
            "config.json": {"model_type": "mbart"},
            "tokenizer_config.json": {"src_lang": "tlh_XX"},
        },
        "src_lang must be one of ar_AR",
    ),
    "sentinels without end": (
        read_pieces,
        {"spiece.model": train(), "tokenizer_config.json": {"extra_ids": 10**9}},
        "extra_ids must be a number of sentinels up to 4096; got 1000000000",
    ),
    "sentinels that are text": (
        read_pieces,
        {"spiece.model": train(), "tokenizer_config.json": {"extra_ids": "9"}},
        "extra_ids must be a number",
    ),
}


@pytest.mark.parametrize("case", PIECES)
def test_a_folder_of_pieces_that_lies_is_refused(tmp_path, case):
    read, files, message = PIECES[case]
    for name, contents in files.items():
        data = contents if isinstance(contents, bytes) else json.dumps(contents).encode()
        (tmp_path / name).write_bytes(data)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        read(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)
