"""From a preset folder to a task; `zoo.saving` goes the other way.

    config.json          {"format_version": 1, "family": "gpt", "task": "causal_lm",
                          "backbone": {...}, "task_arguments": {...}, "card": {...}}
    tokenizer.json       optional
    model.safetensors    or shards; optional: without them the preset is an architecture
    manifest.json        the sha256 of these files: `zoo.manifest`
    README.md            a Hugging Face model card

`backbone` and `task_arguments` are the constructors' arguments; see `zoo.config`.
"""

import contextlib
import os
import re

from zoo import checkpoints, downloads, hub, manifest, tensors
from zoo import weights as weight_files
from zoo.checks import shown
from zoo.config import choose_task, fingerprint, read_config, with_overrides
from zoo.data.labels import label_names
from zoo.generation import get_sampler
from zoo.layers.initializers import weights_follow
from zoo.layers.quantized import MODES
from zoo.models import FAMILIES
from zoo.shared_weights import load_shared_weights
from zoo.sizes import check_memory, count_parameters
from zoo.tasks import TASKS, Task
from zoo.tasks.alterations import alter
from zoo.tasks.encoder_task import EncoderTask
from zoo.tokenizers import Tokenizer


def load(
    name: str | os.PathLike,
    task: str | None = None,
    weights: bool | str = True,
    freeze: str | int | None = None,
    quantize: str | None = None,
    revision: str | None = None,
    **overrides,
) -> Task:
    """A task from a preset.

    ```python
    zoo.load("gpt-small")
    zoo.load("gpt-small", weights=False, dtype="mixed_bfloat16", dropout=0.0, sequence_length=128)
    zoo.load("hf://openai-community/gpt2")    # fetched once; "gpt2" is short for it
    ```

    Args:
        name: a bundled preset (`zoo.list_presets()` shows them); the path of a preset folder, of a
            folder that Hugging Face transformers or KerasHub wrote, or of a `.gguf` file of
            llama.cpp; or a model of the hub, `"hf://owner/name"`, which is fetched.
        task: the name of a task such as `"causal_lm"`; None for the preset's own.
        weights: True for the preset's weights, `"backbone"` for those of its backbone under a
            new, random head, False for random ones alone.
        freeze: `"backbone"`, or an int n for all of it but its last n blocks, to train a new head
            alone or with these; encoders only. None leaves frozen what was so when it was saved.
        quantize: `"int8"` or `"int4"`, to keep the weights in so many bits; see
            `zoo.CausalLM.quantize`. None keeps them as they were stored.
        revision: str, a branch, a tag or a commit of a model of the hub; None for its main branch.
        **overrides: arguments of the backbone's or the task's constructor, in place of the
            preset's; `tokenizer` is a `Tokenizer` or None, `special_tokens` a `SpecialTokens`.

    Returns:
        A task, a compiled `keras.Model`.

    Raises:
        ConnectionError, OSError, PermissionError: a model of the hub cannot be fetched.
        FileNotFoundError: no such folder, or no such model on the hub.
        TypeError: an unknown override, or a `tokenizer` that is none.
        ValueError: no such preset; something in its files or an override does not fit, or is
            damaged; weights asked for where there are none.
    """
    if not (isinstance(weights, bool) or weights == "backbone"):
        raise ValueError(
            f"weights must be True, False or 'backbone'; got {shown(weights)}. Weights in another "
            "folder are loaded by its own name: zoo.load(folder)."
        )
    if quantize not in (None, *MODES):
        raise ValueError(f"quantize must be None, 'int8' or 'int4'; got {shown(quantize)}.")
    folder = hub.resolve(name, revision, bool(weights))
    is_checked = manifest.check(folder, without=() if weights else [hub.WEIGHTS_FILES])
    is_foreign = checkpoints.is_foreign(folder)
    config = (
        checkpoints.read_config(folder) if is_foreign else read_config(folder / hub.CONFIG_NAME)
    )
    task = config["task"] if task is None else task
    choose_task(config["family"], task, "zoo.load")
    if weights and is_foreign:
        checkpoints.find_weights(folder)  # or it says what must be there
    elif weights:
        check_weights(folder, config, name)
    tokenizer = choose_tokenizer(folder, config, overrides)
    if overrides.get("problem") == "regression":
        overrides.setdefault("labels", ["score"])
    if "labels" in overrides:
        overrides["labels"] = label_names(overrides["labels"])
    changed = with_overrides(config, task, overrides)
    if weights is True and task == config["task"]:
        check_labels(config, changed)
    # Others pad their tables: the tokenizer may be smaller than these.
    was_saved_with = (config["tokenizer"] or is_foreign) and "tokenizer" not in overrides
    if was_saved_with or not is_foreign:
        check_vocabulary(tokenizer, changed["backbone"], folder, was_saved_with)
    check_memory(changed, f"{folder / hub.CONFIG_NAME}" if not overrides else "zoo.load")

    with weights_follow() if weights else contextlib.nullcontext():
        backbone = FAMILIES[config["family"]](**changed["backbone"])
    model = TASKS[task](
        backbone,
        tokenizer=tokenizer,
        special_tokens=choose_special_tokens(folder, config, tokenizer, overrides),
        **changed["task_arguments"],
    )
    if changed["sampler"]:
        model.sampler = get_sampler(changed["sampler"])
    if changed["request"]:
        model.usual_request = changed["request"]
    model.source = downloads.source_of(folder) or source_in(config)
    if weights and config.get("quantization"):
        make_room(model, folder, config)
    if weights:
        fill(model, folder, config, weights, overrides, is_checked)
    if freeze is not None:
        if not isinstance(model, EncoderTask):
            raise TypeError(f"freeze is for encoders' tasks; {task} is trained whole.")
        model.freeze(freeze)
    elif weights is True:
        refreeze(model, changed["frozen"], folder)
    if quantize is not None:
        model.quantize(quantize)
    return model


def make_room(model, folder, config):
    """For weights that are quantised in a preset."""
    names = weight_files.names(tensors.find(folder))
    try:
        model.quantize_empty(config["quantization"], names)
    except ValueError as error:
        raise ValueError(f"{folder / hub.CONFIG_NAME}: {error}") from None


def source_in(config):
    """Where a preset's weights were fetched from before they were saved here, or None."""
    source = config["card"].get("source", "")
    return source if source.startswith(hub.PREFIX) else None


def fill(model, folder, config, weights, overrides, is_checked):
    """Put a preset's weights into a task; an error names the overrides that may be its cause."""
    backbone_only = weights == "backbone"
    is_own_task = type(model).task_name == config["task"]
    heads = "none" if backbone_only else "all" if is_own_task else "shared"
    try:
        if checkpoints.is_foreign(folder):
            checkpoints.load_weights(model, folder, backbone_only, is_checked)
        else:
            load_shared_weights(model, tensors.find(folder), heads, is_checked)
    except ValueError as error:
        if not overrides:
            raise
        raise ValueError(
            f"{error} You changed {', '.join(overrides)}: weights=False makes such a model "
            "with random weights."
        ) from None


def refreeze(model, names, folder):
    try:
        alter(model.sublayers(), frozen=names)
    except ValueError as error:
        raise ValueError(f"{folder / hub.CONFIG_NAME}: {error}") from None


def choose_tokenizer(folder, config, overrides):
    """The tokenizer that was asked for, or the preset's; None without one."""
    if "tokenizer" in overrides:
        tokenizer = overrides["tokenizer"]
        if not isinstance(tokenizer, Tokenizer | None):
            raise TypeError(
                f"tokenizer must be a zoo.tokenizers.Tokenizer or None; got {shown(tokenizer)}."
            )
        return tokenizer
    if checkpoints.is_foreign(folder):
        return checkpoints.read_tokenizer(folder)
    path = folder / hub.TOKENIZER_NAME
    if not path.exists() and (config["tokenizer"] or path.is_symlink()):
        raise ValueError(
            f"{path} is missing, which the preset was saved with. Fetch it again, or pass "
            "tokenizer=None for a model of token ids."
        )
    tokenizer = Tokenizer.load(folder) if path.exists() else None
    if tokenizer is not None and config["tokenizer"] not in ("", fingerprint(tokenizer)):
        raise ValueError(
            f"{path} must be the tokenizer that the preset was saved with, whose fingerprint is in "
            f"its {hub.CONFIG_NAME}; it was changed, or is another model's. Fetch or save the "
            "preset again, or pass the tokenizer that you mean: tokenizer=Tokenizer.load(path)."
        )
    return tokenizer


def choose_special_tokens(folder, config, tokenizer, overrides):
    """Those that were asked for, or the preset's; None for the usual ones of the tokenizer."""
    if "special_tokens" in overrides or "tokenizer" in overrides:
        return overrides.get("special_tokens")
    if checkpoints.is_foreign(folder):
        vocab_size = config["backbone"]["vocab_size"]
        return checkpoints.read_special_tokens(folder, tokenizer, vocab_size)
    return config["special_tokens"] or None


def check_labels(config, changed):
    """Raise ValueError where the outputs of a trained head would get other names."""
    trained = config["task_arguments"].get("labels")
    labels = changed["task_arguments"].get("labels")
    if trained is None or list(labels) == trained:
        return
    has_names = not all(re.fullmatch(r"LABEL_\d+", label) for label in trained)
    if has_names or len(labels) != len(trained):
        raise ValueError(
            f"zoo.load: labels must be those that the head was trained with, {shown(trained)}, in "
            f"this order; got {shown(labels)}. Leave them out to use it; weights='backbone' puts "
            "a new head in its place."
        )


def check_vocabulary(tokenizer, arguments, folder, was_saved_with):
    """Refuse a tokenizer of another vocabulary; the one a preset was saved with may be smaller."""
    if tokenizer is None or tokenizer.vocab_size == arguments["vocab_size"]:
        return
    if not was_saved_with or tokenizer.vocab_size > arguments["vocab_size"]:
        raise ValueError(
            f"{folder}: vocab_size must be that of the tokenizer, {tokenizer.vocab_size}; got "
            f"{arguments['vocab_size']}. Pass another tokenizer, or tokenizer=None for a model of "
            "token ids."
        )


def check_weights(folder, config, name):
    """Before anything is allocated: there are weights, and as many as the config describes."""
    path = tensors.find(folder)
    if path is None:
        raise ValueError(
            f"The preset {str(name)!r} is an architecture without weights; "
            f"zoo.load({str(name)!r}, weights=False) makes it with random ones."
        )
    described, held = count_parameters(config), weight_files.count_numbers(path)
    if config["quantization"].startswith("int4"):  # two in each byte
        held *= 2
    if held < described:
        raise ValueError(
            f"{path} must hold the {described:,} numbers that its config.json describes; got "
            f"{held:,}. The two belong to different models."
        )
