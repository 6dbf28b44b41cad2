"""The run that made `gpt-small`: about 10 M parameters on public-domain and CC-BY English.

    KERAS_BACKEND=torch python -m zoo.training.recipes.gpt_small --steps 1400

It resumes from its own checkpoint. Muon (Jordan et al., 2024; Liu et al., 2025,
https://arxiv.org/abs/2502.16982) moves the hidden matrices, Adam the rest.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from zoo.training.checkpoints import restore_checkpoint, save_checkpoint
from zoo.training.schedules import WarmupStableDecay

from zoo.models import GPT
from zoo.tasks.causal_lm import CausalLM

BACKBONE = {
    "vocab_size": 8192,
    "num_layers": 6,
    "num_heads": 5,
    "hidden_dim": 320,
    "max_length": 512,
    "dropout": 0.0,
}
LENGTH = 512
PEAK_LEARNING_RATE = 3e-3


def batches(tokens, batch_size, start_step, seed=0):
    """Endless `(token_ids, labels)` of shuffled rows, each epoch in an order of its own."""
    num_rows = (len(tokens) - 1) // LENGTH
    steps_per_epoch = num_rows // batch_size
    step = start_step
    while True:
        epoch, position = divmod(step, steps_per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(num_rows)
        rows = order[position * batch_size : (position + 1) * batch_size]
        both = np.stack([tokens[r * LENGTH : (r + 1) * LENGTH + 1] for r in rows]).astype("int32")
        yield both[:, :-1], both[:, 1:]
        step += 1


class Log(keras.callbacks.Callback):
    """Write a line of JSON and a checkpoint after every epoch."""

    def __init__(self, folder, tokens_per_step):
        super().__init__()
        self.folder, self.tokens_per_step = folder, tokens_per_step
        self.began = time.time()

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.optimizer.iterations)
        line = {"step": step, "tokens": step * self.tokens_per_step, **logs}
        line["seconds"] = round(time.time() - self.began, 1)
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(json.dumps({k: float(v) for k, v in line.items()}) + "\n")
        save_checkpoint(self.folder / "checkpoint.safetensors", self.model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--decay", type=int, default=350)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--eval-every", type=int, default=50)
    parser.add_argument("--data", type=Path, default=Path("data/gpt-small"))
    parser.add_argument("--output", type=Path, default=Path("runs/gpt-small"))
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    model = CausalLM(GPT(**BACKBONE, dtype="mixed_bfloat16"))
    schedule = WarmupStableDecay(PEAK_LEARNING_RATE, 60, args.decay, args.steps)
    optimizer = keras.optimizers.Muon(
        schedule, adam_beta_2=0.98, weight_decay=0.1, adam_weight_decay=0.0, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    model.compile(optimizer=optimizer, weighted_metrics=[])

    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    start = restore_checkpoint(checkpoint, model) if checkpoint.exists() else 0
    train = np.memmap(args.data / "train.bin", "uint16", "r")
    valid = np.memmap(args.data / "valid.bin", "uint16", "r")
    held_out = np.lib.stride_tricks.sliding_window_view(valid, LENGTH + 1)[:: LENGTH * 20]
    held_out = held_out.astype("int32")
    model.fit(
        batches(train, args.batch_size, start),
        initial_epoch=start // args.eval_every,
        epochs=args.steps // args.eval_every,
        steps_per_epoch=args.eval_every,
        validation_data=(held_out[:, :-1], held_out[:, 1:]),
        validation_batch_size=8,
        callbacks=[Log(args.output, args.batch_size * LENGTH)],
        shuffle=False,
        verbose=2,
    )


if __name__ == "__main__":
    main()
