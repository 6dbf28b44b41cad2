"""A folder of text to a trained model: tokenizer, token files, a run that survives being killed.

    KERAS_BACKEND=torch python examples/pretraining.py texts/ --out runs/mine

Every .txt file below the folder is a document; one in twenty is held out. Run it again after it was
stopped, and it goes on where it was. `--help` lists the sizes, which are those of a first try.
"""

import argparse
from pathlib import Path

import keras
from zoo.training import Checkpoint
from zoo.training.schedules import WarmupStableDecay

import zoo


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/mine"))
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--num-layers", type=int, default=4)
    parser.add_argument("--hidden-dim", type=int, default=256)
    parser.add_argument("--length", type=int, default=256, help="tokens in a row")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    return parser.parse_args()


def prepare(args):
    """The tokenizer and the two token files, made once."""
    names = {part: args.out / f"{part}.bin" for part in ("train", "held_out")}
    tokenizer_file = args.out / "tokenizer.json"
    if tokenizer_file.exists() and all(path.exists() for path in names.values()):
        return zoo.tokenizers.Tokenizer.load(tokenizer_file), names
    files = sorted(args.folder.rglob("*.txt"))
    if len(files) < 2:
        raise SystemExit(f"{args.folder} must hold two .txt files at least; got {len(files)}.")
    documents = {"train": [f for i, f in enumerate(files) if i % 20], "held_out": files[::20]}
    tokenizer = zoo.tokenizers.BytePairTokenizer.train(documents["train"], args.vocab_size)
    args.out.mkdir(parents=True, exist_ok=True)
    for part, path in names.items():
        wrote = zoo.data.write_token_file(documents[part], tokenizer, path)
        print(f"{part}: {wrote['documents']} documents, {wrote['count']:,} tokens")
    tokenizer.save(tokenizer_file)
    return tokenizer, names


def main():
    args = parse()
    keras.utils.set_random_seed(0)
    tokenizer, names = prepare(args)
    train, held_out = (
        zoo.data.PackedRows(zoo.data.TokenFile(path), args.length, args.batch_size)
        for path in names.values()
    )
    model = zoo.CausalLM(
        zoo.models.GPT(
            tokenizer.vocab_size,
            num_layers=args.num_layers,
            num_heads=args.hidden_dim // 64 or 1,
            hidden_dim=args.hidden_dim,
            max_length=args.length,
        ),
        tokenizer,
    )
    steps = len(train) * args.epochs
    rate = WarmupStableDecay(2e-3, steps // 20, steps // 5, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.1, global_clipnorm=1.0))
    run = Checkpoint(args.out / "run", every_minutes=5)
    model.fit(train, epochs=args.epochs, validation_data=held_out, callbacks=[run])
    print(model.evaluate(held_out, return_dict=True, verbose=0))
    print(model.generate("It was", max_new_tokens=args.length // 2, sampler="top_p", seed=0))
    zoo.save(model, args.out / "model")


if __name__ == "__main__":
    main()
