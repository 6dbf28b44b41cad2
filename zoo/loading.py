"""From a preset folder to a task and back.

    config.json          {"format_version": 1, "family": "gpt", "task": "causal_lm",
                          "backbone": {...}, "task_arguments": {...}, "card": {...}}
    tokenizer.json       optional
    model.safetensors    optional: without it the preset is an architecture
    README.md            a Hugging Face model card

`backbone` and `task_arguments` are the constructors' arguments; see `zoo.config`.
"""

import contextlib
import json
import shutil
from pathlib import Path

from zoo import checkpoints, hub
from zoo import weights as weight_files
from zoo.config import (
    FAMILIES,
    FORMAT_VERSION,
    TASKS,
    apply_overrides,
    argument_names,
    check_arguments,
    choose_task,
    read_config,
    shown,
)
from zoo.layers.initializers import weights_follow
from zoo.parameters import count_parameters
from zoo.shared_weights import load_shared_weights
from zoo.tasks.encoder_task import EncoderTask
from zoo.tokenizers import Tokenizer

MARK = "<!-- Written by zoo.save, and again each time. Delete this line to keep your own text. -->"


def load(name, task=None, weights=True, freeze=None, **overrides):
    """A task from a preset.

    ```python
    zoo.load("gpt-small")
    zoo.load("gpt-small", weights=False, dtype="mixed_bfloat16", dropout=0.0, sequence_length=128)
    ```

    Args:
        name: a bundled preset (`zoo.list_presets()` shows them), the path of a preset folder, or
            of a folder that Hugging Face transformers wrote: a BERT, RoBERTa or DistilBERT.
        task: the name of a task such as `"causal_lm"`; None for the preset's own.
        weights: bool, whether to load the preset's weights; otherwise they are random.
        freeze: `"backbone"`, or an int n for all of it but its last n blocks, to train a new head
            alone or with these; encoders only.
        **overrides: arguments of the backbone's or the task's constructor, in place of the
            preset's; `tokenizer` is a `Tokenizer` or None.

    Returns:
        A task, a compiled `keras.Model`.

    Raises:
        FileNotFoundError: no such folder.
        TypeError: an unknown override, or a `tokenizer` that is none.
        ValueError: no such preset; something in its files or an override does not fit, or is
            damaged; weights asked for where there are none.
    """
    folder = hub.resolve(name)
    is_foreign = checkpoints.is_foreign(folder)
    config = (
        checkpoints.read_config(folder) if is_foreign else read_config(folder / hub.CONFIG_NAME)
    )
    task = config["task"] if task is None else task
    choose_task(config["family"], task, "zoo.load")
    if weights and is_foreign:
        checkpoints.weights_file(folder)  # or it says what is there instead
    elif weights:
        check_weights(folder / hub.WEIGHTS_NAME, config, name)
    tokenizer = choose_tokenizer(folder, overrides)
    arguments = apply_overrides(config, task, overrides)
    if not is_foreign:  # others pad their tables; the task sees to it that all tokens have a row
        check_vocabulary(tokenizer, arguments["backbone"], folder)

    with weights_follow() if weights else contextlib.nullcontext():
        backbone = FAMILIES[config["family"]](**arguments["backbone"])
    model = TASKS[task](backbone, tokenizer=tokenizer, **arguments["task_arguments"])
    if weights:
        try:
            if is_foreign:
                checkpoints.load_weights(model, folder)
            else:
                is_own_task = task == config["task"]
                load_shared_weights(model, folder / hub.WEIGHTS_NAME, is_own_task)
        except ValueError as error:
            if not overrides:
                raise
            raise ValueError(
                f"{error} You changed {', '.join(overrides)}: weights=False makes such a model "
                "with random weights."
            ) from None
    if freeze is not None:
        if not isinstance(model, EncoderTask):
            raise TypeError(f"freeze is for encoders' tasks; {task} is trained whole.")
        model.freeze(freeze)
    return model


def save(model, folder, weights_dtype=None):
    """Write a task as a preset folder, which `zoo.load` turns back into it, bit for bit.

    The folder is replaced in one step: if anything fails, or the process is killed, the old one
    is still there, whole. Other files in it are kept, and so is a README.md of your own. The state
    of the optimizer is not part of a preset: `model.save("model.keras")` keeps it.

    Args:
        model: a task such as `zoo.CausalLM`.
        folder: the path of a new or empty folder, or of a preset to be replaced.
        weights_dtype: `"float16"` or `"bfloat16"` to round the weights to that, at half the size.

    Raises:
        FileExistsError: the folder holds something other than a preset.
        OSError: it cannot be written; `PermissionError` and a full disk among them.
        TypeError: the model is not a task of this library.
        ValueError: weights that are not finite, or a model whose layers were changed.
    """
    config = make_config(model)
    folder = Path(folder).expanduser().resolve()
    old = hub.current(folder)
    check_replaceable(old)

    def write(partial):
        keep_other_files(old, partial)
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (partial / hub.CONFIG_NAME).write_text(text, encoding="utf-8")
        if model.tokenizer is not None:
            model.tokenizer.save(partial)
        weight_files.save_weights(model, partial / hub.WEIGHTS_NAME, weights_dtype)
        if not (partial / hub.CARD_NAME).exists():
            card = make_card(config, folder.name)
            (partial / hub.CARD_NAME).write_text(card, encoding="utf-8")

    hub.replace_folder(folder, write)


def choose_tokenizer(folder, overrides):
    if "tokenizer" in overrides:
        tokenizer = overrides["tokenizer"]
        if not isinstance(tokenizer, Tokenizer | None):
            raise TypeError(
                f"tokenizer must be a zoo.tokenizers.Tokenizer or None; got {shown(tokenizer)}."
            )
        return tokenizer
    if checkpoints.is_foreign(folder):
        return checkpoints.read_tokenizer(folder)
    return Tokenizer.load(folder) if (folder / hub.TOKENIZER_NAME).exists() else None


def check_vocabulary(tokenizer, arguments, folder):
    if tokenizer is not None and tokenizer.vocab_size != arguments["vocab_size"]:
        raise ValueError(
            f"{folder}: vocab_size must be that of the tokenizer, {tokenizer.vocab_size}; got "
            f"{arguments['vocab_size']}. Pass another tokenizer, or tokenizer=None for a model of "
            "token ids."
        )


def check_weights(path, config, name):
    """Before anything is allocated: there are weights, and as many as the config describes."""
    if not path.exists():
        raise ValueError(
            f"The preset {str(name)!r} is an architecture without weights; "
            f"zoo.load({str(name)!r}, weights=False) makes it with random ones."
        )
    described, held = count_parameters(config), weight_files.count_numbers(path)
    if held < described:
        raise ValueError(
            f"{path} must hold the {described:,} numbers that its config.json describes; got "
            f"{held:,}. The two belong to different models."
        )


def make_config(model):
    """The config.json of a task; raises for what a preset cannot hold."""
    task = next((name for name, cls in TASKS.items() if type(model) is cls), None)
    family = next(
        (name for name, cls in FAMILIES.items() if type(getattr(model, "backbone", None)) is cls),
        None,
    )
    if task is None or family is None:
        raise TypeError(
            "zoo.save writes one of the tasks "
            f"{', '.join(cls.__name__ for cls in TASKS.values())} over a backbone of "
            f"{', '.join(cls.__name__ for cls in FAMILIES.values())}; got {type(model).__name__}. "
            "model.save('model.keras') keeps any Keras model."
        )
    config = {
        "format_version": FORMAT_VERSION,
        "family": family,
        "task": task,
        "backbone": known_arguments(FAMILIES[family], model.backbone.get_config()),
        # A task's own config holds its backbone: making it takes long, and imports TensorFlow.
        "task_arguments": known_arguments(TASKS[task], vars(model)),
        "card": {},
    }
    check_arguments(FAMILIES[family], config["backbone"], "zoo.save: backbone")
    check_arguments(TASKS[task], config["task_arguments"], "zoo.save: task")
    described = count_parameters(config)
    if model.backbone.count_params() != described:
        raise ValueError(
            f"A preset holds a {type(model.backbone).__name__} as its arguments make it, with "
            f"{described:,} parameters; this one has {model.backbone.count_params():,}: its layers "
            "were changed, by LoRA or quantisation perhaps. model.save('model.keras') keeps it."
        )
    return config


def known_arguments(cls, values):
    """What a config says of a constructor's arguments; a None that is the default is left out."""
    found = {
        name: values[name]
        for name, parameter in argument_names(cls).items()
        if values[name] is not None or parameter.default is not None
    }
    return {k: list(v) if isinstance(v, (list, tuple)) else v for k, v in found.items()}


def check_replaceable(folder):
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(
            f"A preset is saved as a folder, but {str(folder)!r} is a file. Choose another name."
        )
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    config = folder / hub.CONFIG_NAME
    try:
        is_preset = "format_version" in json.loads(config.read_bytes())
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
    ours = [hub.CONFIG_NAME, hub.TOKENIZER_NAME, hub.WEIGHTS_NAME]
    card = old / hub.CARD_NAME
    if card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace"):
        ours.append(hub.CARD_NAME)
    for path in old.iterdir():
        if path.name in ours:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, new / path.name, symlinks=True)
        else:
            shutil.copy2(path, new / path.name, follow_symlinks=False)


def make_card(config, name):
    facts = {
        "family": config["family"],
        "task": config["task"],
        "parameters": f"{count_parameters(config):,}",
        **config["backbone"],
        **config["task_arguments"],
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    return f"""---
library_name: keras
tags:
- zoo
- {config["family"]}
- {config["task"]}
---

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
