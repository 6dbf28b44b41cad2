"""A folder of text to a model of one's own: a tokenizer, a file of token ids, a run that resumes.

    KERAS_BACKEND=torch python examples/pretraining.py corpus/                # 10 M parameters
    KERAS_BACKEND=torch python examples/pretraining.py corpus/ --layers 12 --width 768 --epochs 3

Every .txt of the folder and of those in it is a document. Stop it whenever you like: the same
command goes on after the last epoch. What stands in runs/pretraining/model loads anywhere.
"""

import argparse
from pathlib import Path

import keras
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint

import zoo


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    sizes = {"vocab-size": 8192, "layers": 6, "width": 320, "length": 256, "batch-size": 32}
    for name, size in {**sizes, "epochs": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=Path("runs/pretraining"))
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    files = sorted(args.corpus.rglob("*.txt"))
    if len(files) < 2:
        parser.error(f"the corpus must have two .txt files at least; got {len(files)}")
    held_out = files[:: max(20, len(files) // 50)]  # a document in twenty, at most 50
    read = [file for file in files if file not in held_out]
    tokenizer = tokenizer_of(read, args)
    if not (args.out / "train.bin.json").exists():
        zoo.data.write_token_file(read, tokenizer, args.out / "train.bin")
    tokens = zoo.data.TokenFile(args.out / "train.bin", tokenizer)
    rows = zoo.data.PackedRows(tokens, args.length, args.batch_size)
    print(f"{len(files)} documents, {len(tokens):,} tokens, {len(rows)} steps an epoch")

    sizes = {"num_layers": args.layers, "hidden_dim": args.width, "max_length": args.length}
    backbone = zoo.models.GPT(tokenizer.vocab_size, num_heads=max(1, args.width // 64), **sizes)
    model = zoo.CausalLM(backbone, tokenizer)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, args.epochs * len(rows), warmup_target=args.rate, warmup_steps=len(rows) // 10 + 1
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.1, clipnorm=1.0))
    kept = CheckpointAndLog(args.out, tokens_per_step=args.length * args.batch_size)
    is_begun = kept.checkpoint.exists()
    done = restore_checkpoint(kept.checkpoint, model) // len(rows) if is_begun else 0
    model.fit(
        rows,
        epochs=args.epochs,
        initial_epoch=done,
        validation_data=held_out,
        validation_batch_size=args.batch_size,
        callbacks=[kept],
    )
    zoo.save(model, args.out / "model")
    print(model.generate("The ", max_new_tokens=args.length // 2, sampler="top_p", seed=0))


def tokenizer_of(files, args):
    """The one that the run began with, or a new one, learnt from its texts."""
    path = args.out / "tokenizer.json"
    if path.exists():
        return zoo.tokenizers.Tokenizer.load(path)
    tokenizer = zoo.tokenizers.BytePairTokenizer.train(files, args.vocab_size)
    tokenizer.save(path)
    return tokenizer


if __name__ == "__main__":
    main()
