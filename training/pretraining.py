"""A causal language model from token files: what `zoo train` runs."""

from pathlib import Path

import keras
from zoo.training import plans, runs
from zoo.training.throughput import Samples, Throughput
from zoo.training.tokenizing import TOKENIZER, open_token_files

from zoo.data import MixedRows, PackedRows
from zoo.loading import load
from zoo.tokenizers import Tokenizer


def make_model(name, folders, with_weights, changes):
    """The task that is trained, and the tokenizer of its token files.

    Args:
        name: what `zoo.load` takes.
        folders: those of the token files.
        with_weights: bool, whether to start from the preset's weights.
        changes: `{name: value}` of overrides; None leaves the preset's.

    Raises:
        ValueError: the token files and the preset's weights have different tokenizers, or the
            model is no causal language model.
    """
    tokenizer = Tokenizer.load(Path(folders[0]) / TOKENIZER)
    changes = {key: value for key, value in changes.items() if value is not None}
    if with_weights:
        model = load(name, task="causal_lm", **changes)
        open_token_files(folders[0], tokenizer=model.require_tokenizer())
        return model, tokenizer
    changes |= {"tokenizer": tokenizer, "vocab_size": tokenizer.vocab_size}
    return load(name, task="causal_lm", weights=False, **changes), tokenizer


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
    out, length = Path(out), model.row_length
    trained = rows_of(settings["data"], "train", tokenizer, length, settings)
    held_out = rows_of(settings["data"], "valid", tokenizer, length, settings)
    epochs, steps = runs.epochs_of(settings["steps"], settings["validate_every"])
    names = ("schedule", "warmup_steps", "decay_steps", "weight_decay", "clip", "accumulate", "ema")
    chosen = {name: settings[name] for name in names}
    model.compile(
        optimizer=runs.make_optimizer(settings["steps"], settings["learning_rate"], **chosen)
    )
    monitor = "loss" if held_out is None else "val_loss"
    throughput = Throughput(
        settings["batch_size"] * length,
        settings["steps"],
        plans.flops_of_token(model, length),
        plans.device_peak(),
    )
    samples = [Samples(out / "samples.txt", settings["sample"], settings["sample_every"])]
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
            *runs.early_stopping(monitor, settings["patience"]),
            *runs.loggers(out, settings["tensorboard"]),
            runs.kept(out, settings["checkpoint_minutes"], settings["keep"]),
        ],
    ).history
    numbers = runs.finish(model, out, history)
    return {"steps": int(keras.ops.convert_to_numpy(model.optimizer._iterations)), **numbers}
