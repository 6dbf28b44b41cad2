"""The run that made `gpt-small`: about 10 M parameters on public-domain and CC-BY English.

    python -m zoo.training.recipes.gpt_small data       # corpora, tokenizer, token files
    python -m zoo.training.recipes.gpt_small train      # resumes from its own checkpoint
    python -m zoo.training.recipes.gpt_small publish    # evaluation, curve, card, preset folder

Set KERAS_BACKEND=torch on a CPU with bfloat16 instructions, where it is the fastest. Muon (Liu et
al., 2025, https://arxiv.org/abs/2502.16982) moves the hidden matrices, Adam the rest.
"""

import argparse
import random
from pathlib import Path

import keras
from zoo.training import corpora
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint, restore_weights
from zoo.training.publishing import publish
from zoo.training.schedules import WarmupStableDecay

from zoo.data.token_files import PackedRows, TokenFile, write_token_file
from zoo.models import GPT
from zoo.optimizers import NOT_DECAYED
from zoo.tasks.causal_lm import CausalLM
from zoo.tokenizers import BytePairTokenizer, Tokenizer

CORPORA = ("gutenberg", "sotu", "shakespeare", "web_bible", "tatoeba_english", "brown")
BACKBONE = {
    "vocab_size": 8192,
    "num_layers": 6,
    "num_heads": 5,
    "hidden_dim": 320,
    "max_length": 512,
    "dropout": 0.0,  # the run sees each token less than once
}
SOURCE = "books, speeches, Brown, Tatoeba"
LENGTH = 512
SEED = 0


def prepare_data(args):
    """Fetch the corpora, train the tokenizer on the training part, tokenise both parts."""
    documents = [d for name in CORPORA for d in corpora.load(name)]
    train, valid = corpora.split(documents, corpora.ARCHAIC)
    tokenizer = BytePairTokenizer.train((d.text for d in train), BACKBONE["vocab_size"])
    args.preset.mkdir(parents=True, exist_ok=True)
    tokenizer.save(args.preset)
    for name, part in (("train", train), ("valid", valid)):
        random.Random(SEED).shuffle(part)
        print(name, write_token_file(part, tokenizer, args.data / f"{name}.bin"))


def train(args):
    """Train from scratch or from the checkpoint in the output folder."""
    keras.utils.set_random_seed(SEED)
    model = CausalLM(GPT(**BACKBONE, dtype="mixed_bfloat16"))
    schedule = WarmupStableDecay(args.peak, args.warmup, args.decay, args.steps)
    optimizer = keras.optimizers.Muon(
        schedule, adam_beta_2=0.98, weight_decay=0.1, adam_weight_decay=0.0, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer=optimizer)

    rows = PackedRows(
        TokenFile(args.data / "train.bin"), LENGTH, args.batch_size, SEED, drop_remainder=True
    )
    held_out = PackedRows(TokenFile(args.data / "valid.bin"), LENGTH, 8, SEED)
    log = CheckpointAndLog(args.output, tokens_per_step=args.batch_size * LENGTH)
    start = restore_checkpoint(log.checkpoint, model) if log.checkpoint.exists() else 0
    model.fit(
        rows,
        initial_epoch=start // args.eval_every,
        epochs=args.steps // args.eval_every,
        steps_per_epoch=args.eval_every,
        validation_data=held_out,
        validation_steps=args.eval_batches,
        callbacks=[log],
        verbose=2,
    )


def publish_preset(args):
    """Measure the last checkpoint on the held-out documents and write the preset folder."""
    tokenizer = Tokenizer.load(args.preset)
    model = CausalLM(GPT(**BACKBONE, dtype="float32"), tokenizer)
    restore_weights(args.output / CheckpointAndLog.CHECKPOINT, model)
    publish(model, args.preset, held_out_texts(), args.output / CheckpointAndLog.LOG, SOURCE)


def held_out_texts():
    """The documents of each corpus that are not trained on."""
    held_out = {}
    for name in CORPORA:
        _, valid = corpora.split(corpora.load(name), corpora.ARCHAIC)
        held_out[name] = [d.text for d in valid]
    return held_out


def main():
    """Run one stage."""
    parser = argparse.ArgumentParser(description="Make the preset gpt-small.")
    parser.add_argument("stage", choices=["data", "train", "publish"])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--peak", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--warmup", type=int, default=60, help="steps to it")
    parser.add_argument("--decay", type=int, default=450, help="steps from it to 0, at the end")
    parser.add_argument("--batch-size", type=int, default=16, help=f"rows of {LENGTH} tokens")
    parser.add_argument("--eval-every", type=int, default=25, help="steps")
    parser.add_argument("--eval-batches", type=int, default=4)
    parser.add_argument("--data", type=Path, default=Path("data/gpt-small"))
    parser.add_argument("--output", type=Path, default=Path("runs/gpt-small"))
    parser.add_argument("--preset", type=Path, default=Path("presets/gpt-small"))
    args = parser.parse_args()
    {"data": prepare_data, "train": train, "publish": publish_preset}[args.stage](args)


if __name__ == "__main__":
    main()
