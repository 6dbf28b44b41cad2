"""From a task to a preset folder; see `zoo.loading` for its files."""

import json
import os
import shutil

import numpy as np

from zoo import arguments, checkpoints, hub, manifest
from zoo.checkpoints import gguf, keras_hub
from zoo.checks import checked_path, shown
from zoo.config import FORMAT_VERSION, check_arguments, fingerprint
from zoo.folders import current, replace_folder, replaceable_path
from zoo.generation import Greedy
from zoo.layers.quantized import count_as_floats
from zoo.models import FAMILIES
from zoo.sizes import count_parameters
from zoo.tasks import TASKS, Task
from zoo.tensors import write_folder
from zoo.tensors.reading import FORMAT
from zoo.tokenizers import SpecialTokens
from zoo.weights import HALF, OwnTensors

# Left out of a config where there is nothing.
SILENT = ("special_tokens", "tokenizer", "sampler", "request", "frozen", "quantization")
LIBRARIES = {"zoo": "keras", "transformers": "transformers", "keras_hub": "keras-hub"}
MARK = "<!-- Written by zoo.save, and again each time. Delete this line to keep your own text. -->"


def save(
    model: Task,
    folder: str | os.PathLike,
    weights_dtype: str | None = None,
    format: str = "zoo",
    max_shard_size: int | str = "5GB",
) -> None:
    """Write a task as a preset folder, which `zoo.load` turns back into it, bit for bit.

    With `format="transformers"` the folder is one that Hugging Face transformers, and all that read
    its folders, open without code of ours: `AutoModelForCausalLM.from_pretrained(folder)`, and
    `AutoTokenizer`. What there is no place for in it, such as a family that they have not, is
    refused by its name.

    With `format="keras_hub"` it is a preset of KerasHub, which the `from_preset` of its classes
    opens; weights are then in one HDF5 file, in the dtype of the model.

    With `format="gguf"` it is one file, such as `"mine.gguf"`, which llama.cpp runs.

    What is frozen stays so. The folder is replaced in one step: if anything fails, or the process
    is killed, the old one is still there, whole. Other files in it are kept, and so is a README.md
    of your own. The state of the optimizer is not part of a preset: `model.save("model.keras")`
    keeps it.

    Args:
        model: a task such as `zoo.CausalLM`.
        folder: the path of a new or empty folder, or of a preset to be replaced.
        weights_dtype: `"float16"` or `"bfloat16"` to round the weights to that, at half the size;
            for a GGUF file also `"q8_0"`, a quarter of it.
        format: `"zoo"`, `"transformers"`, `"keras_hub"` or `"gguf"`.
        max_shard_size: bytes, or text such as `"500MB"`: larger weights are written in several
            files, with an index.

    Raises:
        FileExistsError: the folder holds something other than a preset.
        OSError: it cannot be written; `PermissionError` and a full disk among them.
        TypeError: the model is not a task of this library, or the folder is no path.
        ValueError: weights that are not finite, a model whose layers were changed, or a folder
            without a name, or around the working directory.
    """
    known = [*FORMATS, *FILE_FORMATS]
    if format not in known:
        raise ValueError(f"format must be one of {', '.join(known)}; got {shown(format)}.")
    config = make_config(model)
    if format != "zoo" and model.quantization:
        raise ValueError(
            f"format={format!r} takes weights that are floats; these are quantised to "
            f"{model.quantization}. Save the model that it was made of, or with format='zoo'."
        )
    if format in FILE_FORMATS:
        save_file(model, folder, weights_dtype, *FILE_FORMATS[format])
        return
    if weights_dtype not in (None, *HALF):
        names = ", ".join(map(repr, HALF))
        raise ValueError(f"weights_dtype must be None or {names}; got {shown(weights_dtype)}.")
    folder = replaceable_path(folder)
    check_replaceable(current(folder))

    def write(partial):
        with model.weights_lock:  # another thread may be in `fit`
            FORMATS[format](model, partial, weights_dtype, max_shard_size)
        manifest.write(partial)

    def finish(old, partial):
        check_replaceable(old)
        keep_other_files(old, partial)
        card = partial / hub.CARD_NAME
        if not card.exists():
            text = make_card(config, folder.name, format)
            card.write_text(text, encoding="utf-8", errors="replace")  # of a name that is no text

    replace_folder(folder, write, finish)


def save_file(model, path, weights_dtype, suffix, write):
    """Write a task as one file, in one step."""
    path = checked_path(path)
    if path.suffix != suffix:
        raise ValueError(f"The file must end in {suffix!r}, as 'mine{suffix}'; got {str(path)!r}.")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{str(path)!r} is no file. Choose another name.")
    with model.weights_lock:  # another thread may be in `fit`
        write(model, path, weights_dtype)


def write_preset(model, folder, weights_dtype, max_shard_size):
    text = json.dumps(make_config(model), indent=2, ensure_ascii=False) + "\n"
    (folder / hub.CONFIG_NAME).write_text(text, encoding="utf-8")
    if model.tokenizer is not None:
        model.tokenizer.save(folder)
    weights = OwnTensors(model, weights_dtype)
    write_folder(folder, weights, max_shard_size, kind=FORMAT)


WRITTEN = (  # patterns of our own files
    hub.CONFIG_NAME,
    hub.TOKENIZER_NAME,
    hub.WEIGHTS_FILES,
    f"{hub.WEIGHTS_NAME}.index.json",
    manifest.NAME,
    *checkpoints.WRITTEN,
    *keras_hub.WRITTEN,
)
FORMATS = {
    "zoo": write_preset,
    "transformers": checkpoints.write_folder,
    "keras_hub": keras_hub.write_folder,
}
FILE_FORMATS = {"gguf": (hub.GGUF, gguf.write_file)}  # those of one file, and its suffix


def make_config(model):
    """The config.json of a task; raises for what a preset cannot hold."""
    cls, family = type(model), type(getattr(model, "backbone", None))
    if cls not in TASKS.values() or family not in FAMILIES.values():
        raise TypeError(
            "zoo.save writes one of the tasks "
            f"{', '.join(task.__name__ for task in TASKS.values())} over a backbone of "
            f"{', '.join(one.__name__ for one in FAMILIES.values())}; got {cls.__name__}. "
            "model.save('model.keras') keeps any Keras model."
        )
    tokenizer, special_tokens = model.tokenizer, model.special_tokens
    is_usual = special_tokens == SpecialTokens.of(tokenizer)
    config = {
        "format_version": FORMAT_VERSION,
        "family": family.family,
        "task": cls.task_name,
        "backbone": known_arguments(family, model.backbone.get_config()),
        # A task's own config holds its backbone: making it takes long, and imports TensorFlow.
        "task_arguments": known_arguments(
            cls, {name: getattr(model, name) for name in arguments.taken(cls)}
        ),
        "special_tokens": {} if is_usual else special_tokens.get_config(),
        "tokenizer": "" if tokenizer is None else fingerprint(tokenizer),
        "sampler": sampler_of(model),
        "request": dict(getattr(model, "usual_request", {})),
        "frozen": model.frozen,
        "quantization": model.quantization or "",
        "card": {"source": model.source} if model.source else {},
    }
    config = {name: value for name, value in config.items() if value or name not in SILENT}
    check_arguments(config, "zoo.save")
    described, held = count_parameters(config), count_as_floats(model.backbone)
    if held != described:
        raise ValueError(
            f"A preset holds a {family.__name__} as its arguments make it, with "
            f"{described:,} parameters; this one has {held:,}: its layers "
            "were changed, by LoRA perhaps. model.save('model.keras') keeps it."
        )
    return config


def sampler_of(model):
    """The numbers of the sampler that a task was compiled with; {} for none or the usual one."""
    sampler = getattr(model, "sampler", None)
    numbers = {} if sampler is None else dict(vars(sampler))
    return {} if numbers == vars(Greedy()) else numbers


def known_arguments(cls, values):
    """What a config says of a constructor's arguments; a None that is the default is left out."""
    found = {
        name: values[name]
        for name, parameter in arguments.taken(cls).items()
        if values[name] is not None or parameter.default is not None
    }
    return {name: as_json(value) for name, value in found.items()}


def as_json(value):
    """Lists of tuples, and Python's own numbers of NumPy's."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value


def check_replaceable(folder):
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"A preset is saved as a folder, but {str(folder)!r} is a file. Choose another name."
        )
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    config = folder / hub.CONFIG_NAME
    try:
        is_preset = not {"format_version", "zoo_version"}.isdisjoint(
            json.loads(config.read_bytes())
        )
    except (OSError, ValueError):
        is_preset = False
    if not is_preset:
        raise FileExistsError(
            f"{str(folder)!r} holds something other than a preset, which zoo.save does not "
            "replace. Choose a new or empty folder."
        )


def keep_other_files(old, new):
    """Copy what the user has put into a preset folder, a README.md of their own included."""
    if not old.is_dir():
        return
    ours = [*WRITTEN]
    card = old / hub.CARD_NAME
    if card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace"):
        ours.append(hub.CARD_NAME)
    for path in old.iterdir():
        if any(path.match(pattern) for pattern in ours):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, new / path.name, symlinks=True)
        else:
            shutil.copy2(path, new / path.name, follow_symlinks=False)


def make_card(config, name, format):
    facts = {
        "family": config["family"],
        "task": config["task"],
        "parameters": f"{count_parameters(config):,}",
        **config["backbone"],
        **config["task_arguments"],
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    return f"""---
library_name: {LIBRARIES[format]}
tags:
- zoo
- {config["family"]}
- {config["task"]}
{base_model(config)}---

{MARK}

# {name}

A model saved by `zoo.save`. Say here what data it was trained on, under which licence, and what was
measured.

```python
import zoo

model = zoo.load("path/to/{name}")
```

| | |
|---|---|
{rows}
"""


def base_model(config):
    """The line of a card that names the model on the hub that this one was made from."""
    source = config.get("card", {}).get("source", "")
    return f"base_model: {source.removeprefix(hub.PREFIX).split('@')[0]}\n" if source else ""
