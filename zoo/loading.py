"""From a preset folder to a task and back.

    config.json          {"format_version": 1, "family": "gpt", "task": "causal_lm",
                          "backbone": {...}, "task_arguments": {...}, "card": {...}}
    tokenizer.json       optional
    model.safetensors    optional: without it the preset is an architecture
    README.md            a Hugging Face model card

`backbone` and `task_arguments` are the constructors' arguments. A config names no class and no
module: it chooses from the two tables below, and each value is checked before anything is made.
"""

import inspect
import json
import shutil
from pathlib import Path

import keras

from zoo import hub
from zoo import weights as weight_files
from zoo.models import GPT
from zoo.tasks.causal_lm import CausalLM
from zoo.tokenizers import Tokenizer

FORMAT_VERSION = 1
TOKENIZER_NAME = "tokenizer.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
MAX_CONFIG_BYTES = 2**20

FAMILIES = {"gpt": GPT}
TASKS = {"causal_lm": CausalLM}

# Of every argument that a config or an override may give: its type and range. Which ones a class
# takes, and which it needs, its signature says; None is allowed where it is the default.
ARGUMENTS = {
    "vocab_size": (int, 1, 2**24),
    "num_layers": (int, 1, 2**10),
    "num_heads": (int, 1, 2**12),
    "hidden_dim": (int, 1, 2**17),
    "mlp_dim": (int, 1, 2**20),
    "max_length": (int, 1, 2**24),
    "sequence_length": (int, 1, 2**24),
    "dropout": (float, 0, 1),
    "attention_dropout": (float, 0, 1),
    "dtype": ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"),
}
MADE_BY_LOAD = ("self", "backbone", "tokenizer", "kwargs")  # never in a config

SECTIONS = {
    "format_version": int,
    "family": str,
    "task": str,
    "backbone": dict,
    "task_arguments": dict,
    "card": dict,
}
OPTIONAL_SECTIONS = ("task_arguments", "card")
CARD_FACTS = ("source", "licence", "metric")
MARK = "<!-- Written by zoo.save, and again each time. Delete this line to keep your own text. -->"


def load(name, task=None, weights=True, **overrides):
    """A task from a preset.

    ```python
    zoo.load("gpt-small")
    zoo.load("gpt-small", weights=False, dtype="mixed_bfloat16", dropout=0.0, sequence_length=128)
    ```

    Args:
        name: a bundled preset (`zoo.list_presets()` shows them) or the path of a preset folder.
        task: the name of a task such as `"causal_lm"`; None for the preset's own.
        weights: bool, whether to load the preset's weights; otherwise they are random.
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
    config = read_config(folder / hub.CONFIG_NAME)
    task = config["task"] if task is None else task
    choose("task", task, TASKS, "zoo.load")
    weights_file = folder / WEIGHTS_NAME
    if weights:
        check_weights(weights_file, config, name)
    tokenizer = choose_tokenizer(folder, overrides)
    arguments = apply_overrides(config, task, overrides)
    check_vocabulary(tokenizer, arguments["backbone"], folder)

    backbone = FAMILIES[config["family"]](**arguments["backbone"])
    model = TASKS[task](backbone, tokenizer=tokenizer, **arguments["task_arguments"])
    if weights:
        try:
            weight_files.load_weights(model, weights_file)
        except ValueError as error:
            if not overrides:
                raise
            raise ValueError(
                f"{error} You changed {', '.join(overrides)}: weights=False makes such a model "
                "with random weights."
            ) from None
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
        weight_files.save_weights(model, partial / WEIGHTS_NAME, weights_dtype)
        if not (partial / CARD_NAME).exists():
            card = make_card(config, folder.name)
            (partial / CARD_NAME).write_text(card, encoding="utf-8")

    hub.replace_folder(folder, write)


def list_presets():
    """Print a table of the bundled presets and return its rows.

    Returns:
        A list of dicts: name, family, task, parameters (int), disk_bytes (int), weights (bool,
        whether trained ones are there), source, licence, metric (str or None).
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = sorted(map(describe, hub.bundled()), key=lambda row: row["parameters"])
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("task", no_wrap=True)
    table.add_column("parameters", no_wrap=True, justify="right")
    table.add_column("on disk", no_wrap=True, justify="right")
    table.add_column("source")
    table.add_column("licence", no_wrap=True)
    table.add_column("metric")
    for row in rows:
        table.add_row(
            *(row[key] for key in ("name", "family", "task")),
            scaled(row["parameters"], ("", "k", "M", "G")),
            scaled(row["disk_bytes"], ("B", "kB", "MB", "GB")),
            *(row[fact] or "" for fact in CARD_FACTS),
        )
    Console().print(table)
    return rows


def describe(name):
    folder = hub.resolve(hub.bundled_folder() / name)
    config = read_config(folder / hub.CONFIG_NAME)
    return {
        "name": name,
        "family": config["family"],
        "task": config["task"],
        "parameters": count_parameters(config),
        "disk_bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        "weights": (folder / WEIGHTS_NAME).exists(),
        **{fact: config["card"].get(fact) for fact in CARD_FACTS},
    }


def scaled(number, units):
    """`number` to three digits, in the largest of `units` (1000 apart) that keeps it above 1."""
    power = min((len(str(number)) - 1) // 3, len(units) - 1)
    return f"{number / 1000**power:.3g} {units[power]}".rstrip()


# How many numbers a backbone holds, from its arguments alone: known before anything is allocated.


def count_parameters(config):
    return PARAMETERS[config["family"]](**config["backbone"])


def gpt_parameters(vocab_size, num_layers, hidden_dim, mlp_dim=None, max_length=1024, **_):
    mlp_dim = mlp_dim or 4 * hidden_dim
    attention = 4 * hidden_dim * (hidden_dim + 1)
    feed_forward = 2 * hidden_dim * mlp_dim + mlp_dim + hidden_dim
    norm = 2 * hidden_dim
    embeddings = (vocab_size + max_length) * hidden_dim
    return embeddings + num_layers * (attention + feed_forward + 2 * norm) + norm


PARAMETERS = {"gpt": gpt_parameters}


# Reading


def read_config(path):
    """The checked contents of a config.json, with every section there."""
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"{path} must be at most {MAX_CONFIG_BYTES} bytes; got {size}.")
    config = weight_files.strict_json(path.read_bytes(), path)
    for section in config:
        if section not in SECTIONS:
            raise ValueError(
                f"{path}: unknown field {section[:80]!r}. {hub.suggestion(section, SECTIONS)}"
                f"The fields are {', '.join(SECTIONS)}."
            )
    config = {**{section: {} for section in OPTIONAL_SECTIONS}, **config}
    for section, kind in SECTIONS.items():
        if section not in config:
            raise ValueError(f"{path}: the field {section!r} is missing.")
        if type(config[section]) is not kind:
            raise ValueError(
                f"{path}: {section!r} must be {JSON_NAMES[kind]}; got {shown(config[section])}."
            )
    if config["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path}: format_version must be {FORMAT_VERSION}; got {config['format_version']}. "
            "Another version of zoo wrote this preset: use that one."
        )
    choose("family", config["family"], FAMILIES, path)
    choose("task", config["task"], TASKS, path)
    for fact, text in config["card"].items():
        if not isinstance(text, str):
            raise ValueError(f"{path}: card.{fact[:80]} must be text; got {shown(text)}.")
    for section, cls in (
        ("backbone", FAMILIES[config["family"]]),
        ("task_arguments", TASKS[config["task"]]),
    ):
        check_arguments(cls, config[section], f"{path}: {section}")
    return config


def choose(what, name, table, source):
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{source}: {what} must be one of {', '.join(table)}; got {shown(name)}.")


def check_arguments(cls, arguments, source):
    """Names, types and ranges of constructor arguments."""
    parameters = argument_names(cls)
    for name, value in arguments.items():
        if name not in parameters:
            raise ValueError(
                f"{source} has an unknown argument {name[:80]!r}. "
                f"{hub.suggestion(name, parameters)}{cls.__name__} takes {', '.join(parameters)}."
            )
        check_argument(name, value, parameters[name], source)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in arguments:
            raise ValueError(f"{source} must give {name!r}, which {cls.__name__} needs.")
    num_heads, hidden_dim = arguments.get("num_heads"), arguments.get("hidden_dim")
    if num_heads and hidden_dim and hidden_dim % num_heads:
        raise ValueError(
            f"{source}: hidden_dim must be a multiple of num_heads; got {hidden_dim} and "
            f"{num_heads}."
        )


def check_argument(name, value, parameter, source):
    if value is None and parameter.default is None:
        return
    kind, *limits = ARGUMENTS[name]
    if kind is int:
        fits = type(value) is int and limits[0] <= value <= limits[1]
        expected = f"an integer from {limits[0]} to {limits[1]}"
    elif kind is float:
        fits = type(value) in (int, float) and limits[0] <= value <= limits[1]
        expected = f"a number from {limits[0]} to {limits[1]}"
    else:
        fits = isinstance(value, str) and value in ARGUMENTS[name]
        expected = f"one of {', '.join(ARGUMENTS[name])}"
    if not fits:
        raise ValueError(f"{source}: {name} must be {expected}; got {shown(value)}.")


def argument_names(cls):
    """`{name: inspect.Parameter}` of what a config may give to a constructor."""
    parameters = inspect.signature(cls.__init__).parameters
    return {name: p for name, p in parameters.items() if name not in MADE_BY_LOAD}


def apply_overrides(config, task, overrides):
    """The two dicts of constructor arguments, checked."""
    classes = {"backbone": FAMILIES[config["family"]], "task_arguments": TASKS[task]}
    arguments = {"backbone": config["backbone"], "task_arguments": {}}
    if task == config["task"]:
        arguments["task_arguments"] = config["task_arguments"]
    known = [name for cls in classes.values() for name in argument_names(cls)]
    for name in overrides:
        if name not in [*known, "tokenizer"]:
            raise TypeError(
                f"zoo.load got an unknown override {name!r}. {hub.suggestion(name, known)}"
                f"This preset takes {', '.join([*known, 'tokenizer'])}."
            )
    for section, cls in classes.items():
        changed = {name: overrides[name] for name in argument_names(cls) if name in overrides}
        if isinstance(changed.get("dtype"), keras.DTypePolicy):
            changed["dtype"] = changed["dtype"].name
        arguments[section] = {**arguments[section], **changed}
        check_arguments(cls, arguments[section], "zoo.load")
    return arguments


def choose_tokenizer(folder, overrides):
    if "tokenizer" in overrides:
        tokenizer = overrides["tokenizer"]
        if not isinstance(tokenizer, Tokenizer | None):
            raise TypeError(
                f"tokenizer must be a zoo.tokenizers.Tokenizer or None; got {shown(tokenizer)}."
            )
        return tokenizer
    return Tokenizer.load(folder) if (folder / TOKENIZER_NAME).exists() else None


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


JSON_NAMES = {int: "an integer", str: "a text", dict: "an object"}


def shown(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# Writing


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
    """What a config says of a constructor's arguments; None is left to the default."""
    return {name: values[name] for name in argument_names(cls) if values[name] is not None}


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
    ours = [hub.CONFIG_NAME, TOKENIZER_NAME, WEIGHTS_NAME]
    card = old / CARD_NAME
    if card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace"):
        ours.append(CARD_NAME)
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
