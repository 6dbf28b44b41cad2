"""What the recipes that fine-tune share: a schedule, several seeds, and a line for a table."""

import math
import statistics

import keras
from zoo.training.schedules import WarmupStableDecay

from zoo.optimizers import NOT_DECAYED


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
