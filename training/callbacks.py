"""Callbacks for long runs."""

import json
import time
from pathlib import Path

import keras
from zoo.training.checkpoints import save_checkpoint


class CheckpointAndLog(keras.callbacks.Callback):
    """After every epoch, append a line of JSON to a log and replace the checkpoint.

    Args:
        folder: where both go; it is made if it is not there.
        tokens_per_step: int, to count tokens by.
    """

    CHECKPOINT = "checkpoint.safetensors"
    LOG = "log.jsonl"

    def __init__(self, folder, tokens_per_step):
        super().__init__()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = self.folder / self.CHECKPOINT
        self.tokens_per_step = tokens_per_step

    def on_train_begin(self, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations.value))
        line = {"step": step, "tokens": step * self.tokens_per_step, **(logs or {})}
        line["seconds"] = round(time.perf_counter() - self.began, 1)
        with open(self.folder / self.LOG, "a", encoding="utf-8") as file:
            file.write(json.dumps({key: float(value) for key, value in line.items()}) + "\n")
        save_checkpoint(self.checkpoint, self.model)
