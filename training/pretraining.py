"""A language model, causal or masked, from token files: what `zoo train` runs."""

from pathlib import Path

import keras
from zoo.training import plans, runs
from zoo.training.masked_rows import MaskedTokens
from zoo.training.throughput import Samples, Throughput
from zoo.training.tokenizing import TOKENIZER, open_token_files

from zoo.data import MixedRows, PackedRows
from zoo.loading import load
from zoo.tokenizers import Tokenizer

TASKS = ("causal_lm", "masked_lm")


def make_model(name, folders, with_weights, changes, task="causal_lm"):
    """The task that is trained, and the tokenizer of its token files.

    Args:
        name: what `zoo.load` takes.
        folders: those of the token files.
        with_weights: bool, whether to start from the preset's weights.
        changes: `{name: value}` of overrides; None leaves the preset's.
        task: one of `TASKS`.

    Raises:
        ValueError: the token files and the preset's weights have different tokenizers, or the
            model is none for the task.
    """
    if task not in TASKS:
        raise ValueError(f"What is trained on token files is {' or '.join(TASKS)}; got {task!r}.")
    tokenizer = Tokenizer.load(Path(folders[0]) / TOKENIZER)
    changes = {key: value for key, value in changes.items() if value is not None}
    if with_weights:
        model = load(name, task=task, **changes)
        open_token_files(folders[0], tokenizer=model.require_tokenizer())
        return model, tokenizer
    changes |= {"tokenizer": tokenizer, "vocab_size": tokenizer.vocab_size}
    return load(name, task=task, weights=False, **changes), tokenizer


def length_of(model):
    """Tokens of a row of training."""
    if model.task_name == "causal_lm":
        return model.row_length
    return model.sequence_length or model.backbone.max_length


def batches_of(model, folders, name, tokenizer, settings):
    """Batches of the token files of some folders, as a model learns from them; None without any."""
    length, is_masked = length_of(model), model.task_name == "masked_lm"
    rows = rows_of(folders, name, tokenizer, length - 2 if is_masked else length, settings)
    if rows is None or not is_masked:
        return rows
    return MaskedTokens(rows, model, is_fixed=name != "train")


def rows_of(folders, name, tokenizer, length, settings):
    """Batches of the token files of some folders; None if there are none of that name."""
    groups = [open_token_files(folder, name, tokenizer) for folder in folders]
    files = [file for group in groups for file in group]
    if not files:
        return None
    size, seed = settings["batch_size"], settings["seed"]
    if name != "train":
        return (
            PackedRows(files[0], length, size, seed)
            if len(files) == 1
            else MixedRows(files, length, size, seed=seed)
        )
    weights = None
    if settings.get("mix"):
        weights = file_weights(settings["mix"], groups)
    return MixedRows(files, length, size, weights, seed, drop_remainder=True)


def file_weights(shares, groups):
    """The share of each file of each folder, by its tokens within the folder."""
    if len(shares) != len(groups):
        raise ValueError(
            f"There must be a share for each folder of data; got {len(shares)} for {len(groups)}."
        )
    totals = [sum(map(len, group)) for group in groups]
    return [
        share * len(file) / total
        for share, group, total in zip(shares, groups, totals, strict=True)
        for file in group
    ]


def pretrain(model, tokenizer, out, settings, verbose="auto"):
    """Train a model in a run's folder, from where an earlier process stopped.

    Args:
        settings: `{name: value}`, those of `zoo train`.
        verbose: as for `keras.Model.fit`.

    Returns:
        `{"steps", "loss", "val_loss", ...}`, the last of the history.
    """
    out, length = Path(out), length_of(model)
    if settings.get("sample") and model.task_name != "causal_lm":
        raise ValueError(f"Samples are texts that a causal_lm continues; got {model.task_name}.")
    trained = batches_of(model, settings["data"], "train", tokenizer, settings)
    held_out = batches_of(model, settings["data"], "valid", tokenizer, settings)
    epochs, steps = runs.epochs_of(settings["steps"], settings["validate_every"])
    runs.compile_for(model, settings["steps"], settings)
    monitor = "loss" if held_out is None else "val_loss"
    throughput = Throughput(
        settings["batch_size"] * length,
        settings["steps"],
        plans.flops_of_token(model, length),
        plans.device_peak(),
    )
    samples = [Samples(out / "samples.txt", settings["sample"], settings["sample_every"])]
    runs.keep_settings(out, settings)  # of what can run
    history = model.fit(
        trained,
        epochs=epochs,
        steps_per_epoch=steps,
        validation_data=held_out,
        verbose=verbose,
        validation_steps=None
        if held_out is None
        else min(settings["validation_steps"], len(held_out)),
        callbacks=[
            throughput,
            *(samples if settings.get("sample") else []),
            *runs.callbacks_of(out, settings, monitor),
        ],
    ).history
    numbers = runs.finish(model, out, history)
    return {"steps": int(keras.ops.convert_to_numpy(model.optimizer._iterations)), **numbers}
