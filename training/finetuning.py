"""What fine-tuning shares: a schedule and seeds for recipes, and what `zoo finetune` runs."""

import math
import statistics
from pathlib import Path

import keras
import numpy as np
from zoo.training import runs
from zoo.training.schedules import WarmupStableDecay

from zoo.data import read_conll, read_squad, read_table
from zoo.loading import load
from zoo.optimizers import NOT_DECAYED
from zoo.tasks import TASKS


def usual_optimizer(peak, num_rows, batch_size, epochs, weight_decay=0.01):
    """AdamW with a tenth of the steps to its peak and a straight line down from there."""
    steps = math.ceil(num_rows / batch_size) * epochs
    warmup = max(1, steps // 10)
    schedule = WarmupStableDecay(peak, warmup, steps - warmup, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def over_seeds(run, seeds):
    """`run(seed)` for seeds 0, 1, ...: a list of the scores, dicts in which numbers are printed."""
    scores = []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        scores.append(run(seed))
        numbers = {k: round(v, 4) for k, v in scores[-1].items() if isinstance(v, float)}
        print(f"seed {seed}:", numbers, flush=True)
    return scores


def summary(scores, name):
    """`mean (least to most)` in percent of a score over seeds."""
    values = [100 * score[name] for score in scores]
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def read_examples(path, task, text=("text",), label=None):
    """`(examples, labels)` of a file for a task, the labels None where there are none.

    Raises:
        ValueError: a file that is none of the task's, or without such a column.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".conll", ".iob", ".bio"):
        return read_conll(path)
    if suffix == ".json":
        return read_squad(path), None
    if task == "token_classification":
        raise ValueError(f"Tagged words are read from a .conll file; got {str(path)!r}.")
    if task == "question_answering":
        raise ValueError(f"Questions are read from a .json file as SQuAD's; got {str(path)!r}.")
    columns = list(text)
    found = read_table(path, columns[0] if len(columns) == 1 else columns, label)
    return found if label is not None else (found, None)


def make_model(name, task, labels, settings):
    """The task that is fine-tuned, a new head on the preset's backbone where it needs one."""
    from zoo.config import read_config
    from zoo.hub import CONFIG_NAME, resolve

    arguments = {}
    cls = TASKS.get(task)
    if cls is not None and labels is not None and "labels" in cls.arguments:
        flat = labels if task != "token_classification" else [tag for row in labels for tag in row]
        arguments["labels"] = sorted({str(one) for one in flat})
    if settings["dtype"] is not None:
        arguments["dtype"] = settings["dtype"]
    freeze = settings["freeze"]
    if freeze is not None:
        arguments["freeze"] = int(freeze) if str(freeze).isdigit() else freeze
    weights = True
    if settings["untrained"]:
        weights = False
    elif "labels" in arguments:
        config = resolve(name) / CONFIG_NAME
        own = read_config(config)["task_arguments"].get("labels") if config.exists() else None
        weights = True if own == arguments["labels"] else "backbone"
    return load(name, task=task, weights=weights, **arguments)


def finetune(model, x, y, out, settings, verbose="auto"):
    """Train a task in a run's folder, from where an earlier process stopped.

    Returns:
        The last of the history, `{name: number}`.
    """
    out, size = Path(out), settings["batch_size"]
    batches = math.ceil(len(x) * (1 - settings["validation"]) / size)
    runs.compile_for(model, max(2, batches * settings["epochs"]), settings)
    order = np.random.default_rng(settings["seed"]).permutation(len(x))  # files may be sorted
    x = [x[i] for i in order]
    y = None if y is None else [y[i] if isinstance(y[i], list) else plain(y[i]) for i in order]
    monitor = "val_loss" if settings["validation"] else "loss"
    runs.keep_settings(out, settings)  # of what can run
    history = model.fit(
        x,
        y,
        batch_size=size,
        epochs=settings["epochs"],
        verbose=verbose,
        validation_split=settings["validation"],
        callbacks=runs.callbacks_of(out, settings, monitor),
    ).history
    return runs.finish(model, out, history)


def plain(label):
    """A label as text, and a target or a score as it is."""
    return label if isinstance(label, (str, float)) else str(label)
