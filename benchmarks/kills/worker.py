"""Lives of a run, which train with a Checkpoint and note each loss until they are killed.

KERAS_BACKEND=torch python -m benchmarks.kills.worker arrays

Each line of standard input, `[folder, epochs]`, starts a life, whose number is printed, and when it
is over its status. A life is a process of its own, forked when all is imported and nothing begun.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import keras
import numpy as np
from zoo.training import Checkpoint

import zoo
from zoo.tokenizers import BytePairTokenizer

VOCAB_SIZE = 300
TEXT = "The sea was calm and the sky was grey. Nobody spoke for a long while. "
ROWS = np.random.default_rng(0).integers(0, VOCAB_SIZE, (40, 9)).astype("int32")
PAIRS = ROWS[:, :-1], ROWS[:, 1:]


class Noted(keras.callbacks.Callback):
    """Appends the loss so far of each batch to a file, to the last bit."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        with open(self.path, "a", encoding="utf-8") as file:
            # A kill may cut a line, so the next one does not lean on its end.
            file.write("\n" + json.dumps([self.now, batch, float(logs["loss"]).hex()]))


class Sequence(keras.utils.PyDataset):
    """Batches of four rows."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return tuple(part[4 * index : 4 * index + 4] for part in PAIRS)


def tokenizer():
    return BytePairTokenizer.train([TEXT], VOCAB_SIZE)


def texts(folder):
    return {"x": [TEXT[i:] for i in range(40)], "batch_size": 8}, tokenizer()


def token_file(folder):
    path, words = folder / "tokens.bin", tokenizer()
    if not path.exists():
        zoo.data.write_token_file([TEXT * 20], words, path, verbose=False)
    return {"x": zoo.data.PackedRows(zoo.data.TokenFile(path), 8, 4)}, words


def arrays(folder):
    return {"x": PAIRS[0], "y": PAIRS[1], "batch_size": 4}, None


def sequence(folder):
    return {"x": Sequence()}, None


def grain(folder):
    import grain

    rows = grain.MapDataset.source(ROWS).shuffle(seed=1).batch(4)
    return {"x": rows.map(lambda rows: (rows[:, :-1], rows[:, 1:])).to_iter_dataset()}, None


KINDS = {
    "texts": texts,
    "token-file": token_file,
    "arrays": arrays,
    "py-dataset": sequence,
    "grain": grain,
}


def live(kind, folder, epochs):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    data, words = KINDS[kind](folder)
    backbone = zoo.models.GPT(
        VOCAB_SIZE, num_layers=1, num_heads=2, hidden_dim=16, max_length=16, dropout=0.1
    )
    model = zoo.CausalLM(backbone, words)
    model.compile(keras.optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2))
    keeper = Checkpoint(folder, every_minutes=None, every_steps=1, keep=2)
    noted = Noted(folder / "losses.jsonl")
    model.fit(**data, epochs=int(epochs), verbose=0, callbacks=[noted, keeper])
    weights = [keras.ops.convert_to_numpy(w) for w in model.weights]
    np.savez(folder / "weights.npz", *weights)


def main(kind):
    if kind == "grain":
        import grain  # noqa: F401
    for line in sys.stdin:
        life = os.fork()
        if life == 0:
            code = 1
            try:
                live(kind, *json.loads(line))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(life, flush=True)
        print(os.waitpid(life, 0)[1], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
