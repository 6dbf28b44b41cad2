"""KerasHub presets that lie; zoo.save writes the sound ones, so that KerasHub is not needed."""

import json
import re

import h5py
import numpy as np

import zoo
from benchmarks.hostile.models import VOCAB_SIZE, folder_of, tiny_classifier, tiny_gpt
from benchmarks.hostile.row import Row
from zoo import manifest

WEIGHTS, INDEX = "model.weights.h5", "model.weights.json"
TABLE = "layers/reversible_embedding/vars/0"
MODELS = {"gpt": lambda: tiny_gpt(with_tokenizer=False), "bert": tiny_classifier}


def sound(kind):
    """The files of a preset, without the manifest, which would tell by itself."""
    files = folder_of(MODELS[kind](), "keras_hub")
    return {name: data for name, data in files.items() if name != manifest.NAME}


def changed(kind, change):
    def make(folder):
        folder = folder / kind
        folder.mkdir()
        for name, data in sound(kind).items():
            (folder / name).write_bytes(data)
        change(folder)
        return folder

    return make


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
ROWS = tuple(
    Row("KerasHub preset", case, changed(kind, change), zoo.load, re.escape(message), kind)
    for kind, table in (("gpt", GPT), ("bert", BERT))
    for case, (change, message) in table.items()
)
