"""Folders of transformers that lie, and manifests."""

import functools
import json

import numpy as np
from safetensors.numpy import load, save

import zoo
from benchmarks.hostile.models import folder_of, tiny_gpt
from benchmarks.hostile.row import Row
from zoo import manifest

FORMAT = "folder of transformers"


@functools.cache
def sound():
    """The files of a folder, as another library would have left it: without a manifest."""
    files = folder_of(tiny_gpt(), "transformers")
    return {name: data for name, data in files.items() if name != manifest.NAME}


def written(folder, changes):
    """A folder with some files changed, and its path."""
    folder = folder / "gpt"
    folder.mkdir()
    for name, data in (sound() | changes).items():
        (folder / name).write_bytes(data)
    return folder


def fields(file, **changes):
    """A folder in which a JSON file has other fields."""

    def make(folder):
        contents = json.loads(sound().get(file, b"{}")) | changes
        return written(folder, {file: json.dumps(contents).encode()})

    return make


def contents(file, data):
    return lambda folder: written(folder, {file: data})


def with_tensor(name):
    def make(folder):
        arrays = load(sound()["model.safetensors"]) | {name: np.zeros(3, "int32")}
        return written(folder, {"model.safetensors": save(arrays)})

    return make


CONFIGS = {
    "no vocabulary": ({"vocab_size": 0}, r"config\.json.*vocab_size must be an integer from 1"),
    "a negative size": ({"n_embd": -8}, "hidden_dim must be an integer from 1"),
    "a huge size": ({"n_embd": 10**30}, "hidden_dim must be an integer from 1"),
    "very many layers": ({"n_layer": 10**6}, "num_layers must be an integer from 1 to 256"),
    "more than a machine has": ({"n_inner": 2**20, "n_embd": 2**16, "n_layer": 256}, "smaller:"),
    "text for a size": ({"n_layer": "2"}, "num_layers must be an integer"),
    "a truth for a size": ({"n_head": True}, "num_heads must be an integer"),
    "a fraction": ({"n_layer": 1.5}, "num_layers must be an integer"),
    "nothing": ({"n_layer": None}, "must give 'n_layer'"),
    "a list": ({"n_embd": [16]}, r"hidden_dim must be an integer .* got \[16\]"),
    "heads that do not divide": ({"n_head": 3}, "hidden_dim must be a multiple of num_heads"),
    "a rate over 1": ({"resid_pdrop": 7}, "dropout must be a number from 0 to 1"),
    "a module for an activation": (
        {"activation_function": "os.system"},
        "activation_function must",
    ),
    "other scores": ({"scale_attn_weights": False}, "scale_attn_weights must be True"),
    "another depth": ({"n_layer": 2}, r"12 are missing, such as 'h\.1"),
    "another width": ({"n_inner": 80}, r"must have the shape \(16, 80\).*got \(16, 64\)"),
    "a vocabulary that is too small": (
        {"vocab_size": 200},
        "vocab_size must be that of the tokenizer, 300; got 200",
    ),
    "a class of no family": ({"architectures": ["os.system"]}, "architectures must name one of"),
    "classes that are numbers": ({"architectures": [3]}, "architectures must name one of"),
    "a family that is near": ({"model_type": "gpt3"}, r"Did you mean 'gpt2'\?"),
    "a family that is a list": ({"model_type": ["gpt2"]}, r"got \['gpt2'\]"),
    "bitsandbytes": (
        {"quantization_config": {"load_in_8bit": True}},
        r"quantised by bitsandbytes \(quantization_config\), which is not supported\. Load the",
    ),
    "GPTQ": ({"quantization_config": {"quant_method": "gptq"}}, "quantised by GPTQ"),
    "AWQ": ({"quantization_config": {"quant_method": "awq"}}, "quantised by AWQ"),
    "a scheme of tomorrow": ({"quantization_config": {"quant_method": "q9"}}, "quantised by 'q9'"),
    "a scheme that is a number": ({"quantization_config": 3}, "quantised by 3"),
}


BROKEN = {
    "cut": b"{",
    "no object": b"[]",
    "not utf-8": b"\xff",
    "a key twice": b'{"a": 1, "a": 2}',
    "no number": b'{"a": NaN}',
    "deep": b"[" * 100_000,
}
JSON_FILES = ("config.json", "generation_config.json", "tokenizer_config.json")
REQUESTS = {
    "do_sample is text": ({"do_sample": "yes"}, "do_sample must be true or false; got 'yes'"),
    "half a beam": ({"num_beams": 2.5}, "num_beams must be a whole number"),
    "heat that is text": ({"do_sample": True, "temperature": "hot"}, "temperature must be"),
    "a share over 1": ({"do_sample": True, "top_p": 7}, "top_p must be .* got 7"),
    "a negative penalty": ({"repetition_penalty": -1}, "repetition_penalty must be above 0"),
    "a true length": ({"max_new_tokens": True}, "max_new_tokens must be a whole number"),
    "tokens that are text": ({"suppress_tokens": "all"}, "bad_words must be lists of token ids"),
    "a word of text": ({"bad_words_ids": [[1, "a"]]}, "bad_words must be lists of token ids"),
    "groups": ({"num_beams": 4, "num_beam_groups": 3}, "groups must divide the beam's width"),
}
QUANTISED = {"qweight": "GPTQ or AWQ", "weight.absmax": "bitsandbytes"}
MANIFESTS = {
    "cut": ("{", "JSON is not valid"),
    "no digests": ('{"sha256": []}', "must give the sha256 of each file"),
    "a number": ('{"sha256": {"model.safetensors": 3}}', "must give the sha256 of each file"),
    "outside": ('{"sha256": {"../secret": "00"}}', "must be the name of a file in the same folder"),
    "absolute": ('{"sha256": {"/etc/passwd": "00"}}', "must be the name of a file in the same fol"),
    "another digest": ('{"sha256": {"model.safetensors": "00"}}', "its sha256 must be 00"),
    "too large": (" " * (2**20 + 1), "must be at most"),
}


def flipped(file):
    """A folder with its manifest, in which a bit of a file was changed since."""

    def make(folder):
        (folder / "gpt").mkdir()
        for name, data in folder_of(tiny_gpt(), "transformers").items():
            data = data[:-1] + bytes([data[-1] ^ 1]) if name == file else data
            (folder / "gpt" / name).write_bytes(data)
        return folder / "gpt"

    return make


ROWS = (
    *(
        Row(FORMAT, case, fields("config.json", **changes), zoo.load, message, "gpt")
        for case, (changes, message) in CONFIGS.items()
    ),
    *(
        Row(FORMAT, f"{file}: {case}", contents(file, data), zoo.load, "damaged|must be", file)
        for file in JSON_FILES
        for case, data in BROKEN.items()
    ),
    *(
        Row(
            "generation_config.json",
            case,
            fields("generation_config.json", **changes),
            zoo.load,
            f"asks for .*{message}",
            "generation_config.json",
        )
        for case, (changes, message) in REQUESTS.items()
    ),
    *(
        Row(
            FORMAT,
            f"tensors of {scheme}",
            with_tensor(f"transformer.h.0.attn.c_attn.{ending}"),
            zoo.load,
            f"quantised by {scheme} .*{ending}",
            "model.safetensors",
        )
        for ending, scheme in QUANTISED.items()
    ),
    *(
        Row("manifest", case, contents(manifest.NAME, text.encode()), zoo.load, message, "gpt")
        for case, (text, message) in MANIFESTS.items()
    ),
    *(
        Row(
            "manifest",
            f"{file} was changed",
            flipped(file),
            zoo.load,
            "is not the file that was saved: its sha256 must be .* delete manifest",
            file,
        )
        for file in ("model.safetensors", "tokenizer.json")
    ),
)
