"""Translation: the run that made `transformer-small-en-fr`, and an LSTM with attention beside it.

    python -m zoo.training.recipes.translation tokenizer
    python -m zoo.training.recipes.translation train
    python -m zoo.training.recipes.translation publish
    python -m zoo.training.recipes.translation train --model lstm
    python -m zoo.training.recipes.translation evaluate --model lstm

`--pairs libreoffice_en_zh` does the same with English and Chinese, and `--pairs FILE` with one's
own: a line for each pair, with a tab between source and target. These are measured by `evaluate`
and not published. Training resumes from its own checkpoint. Set KERAS_BACKEND=torch on a CPU with
bfloat16 instructions, where it is the fastest.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
from zoo.training import metrics, parallel
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint, restore_weights
from zoo.training.labelled import part_of
from zoo.training.muon import Muon
from zoo.training.publishing import (
    CURVE_NAME,
    draw_curve,
    save_beside_card,
    write_facts,
    write_measurements,
)
from zoo.training.schedules import WarmupStableDecay
from zoo.training.text_metric import TextMetric

import zoo
from zoo.models import LSTMSeq2Seq, Transformer
from zoo.optimizers import NOT_DECAYED
from zoo.tokenizers import BytePairTokenizer, Tokenizer

# Of a set: sacrebleu's tokenizer of its targets, and the vocabulary's size.
SETS = {"tatoeba_en_fr": ("13a", 4096), "libreoffice_en_zh": ("zh", 8192)}
TRANSFORMER = {
    "num_layers": 3,
    "num_heads": 4,
    "hidden_dim": 256,
    "mlp_dim": 1024,
    "max_length": 128,
    "pre_norm": True,
    "dropout": 0.1,
}
LSTM = {"num_layers": 2, "hidden_dim": 320, "max_length": 128, "dropout": 0.1}
PEAKS = {"transformer": 2e-3, "lstm": 6e-3}  # of the learning rate
SHIPPED = "tatoeba_en_fr"
SEED = 0


def load_pairs(args):
    """The three parts of a known set or of a file."""
    if args.pairs in SETS:
        return parallel.load(args.pairs)
    parts = {"train": [], "valid": [], "test": []}
    for pair in parallel.read_pairs(args.pairs):
        parts[part_of(parallel.letters(pair[0]))].append(pair)
    return parts


def train_tokenizer(args):
    """One vocabulary for both languages, of the training part."""
    _, vocab_size = SETS.get(args.pairs, ("13a", 4096))
    texts = [text for pair in load_pairs(args)["train"] for text in pair]
    tokenizer = BytePairTokenizer.train(texts, vocab_size)
    args.preset.mkdir(parents=True, exist_ok=True)
    tokenizer.save(args.preset)
    print(tokenizer.vocab_size, "tokens")


def make_model(args, dtype):
    """The chosen model with random weights."""
    tokenizer = Tokenizer.load(args.preset)
    if args.model == "lstm":
        backbone = LSTMSeq2Seq(tokenizer.vocab_size, **LSTM, dtype=dtype)
    else:
        backbone = Transformer(tokenizer.vocab_size, **TRANSFORMER, dtype=dtype)
    return zoo.Seq2SeqLM(backbone, tokenizer)


def train(args):
    """Train from scratch or from the checkpoint in the output folder."""
    keras.utils.set_random_seed(SEED)
    parts = load_pairs(args)
    model = make_model(args, "mixed_bfloat16")
    steps_per_epoch = math.ceil(len(parts["train"]) / args.batch_size)
    steps = steps_per_epoch * args.epochs
    schedule = WarmupStableDecay(args.peak, min(200, steps // 10), steps // 2, steps)
    optimizer = Muon(schedule, adam_beta_2=0.98, weight_decay=0.1, adam_weight_decay=0.0)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer)
    targets = model.tokenizer.encode([target for _, target in parts["train"]])
    tokens = sum(len(ids) + 1 for ids in targets)
    log = CheckpointAndLog(args.output, tokens_per_step=tokens / steps_per_epoch)
    start = restore_checkpoint(log.checkpoint, model) if log.checkpoint.exists() else 0
    keras.utils.set_random_seed(SEED + start)  # a resumed run draws other orders
    # The sets go from short to long: an even choice of them.
    held_out = parts["valid"][:: math.ceil(len(parts["valid"]) / 2000)]
    sources, references = zip(*held_out[::4], strict=True)
    tokenize, _ = SETS.get(args.pairs, ("13a", 0))
    score = TextMetric(
        "val",
        lambda *texts: {"bleu": metrics.bleu(*texts, tokenize)["bleu"]},
        list(sources),
        list(references),
        method=write,
    )
    model.fit(
        parts["train"],
        batch_size=args.batch_size,
        initial_epoch=start // steps_per_epoch,
        epochs=args.epochs,
        validation_data=held_out,
        callbacks=[score, log],
        verbose=2,
    )


def write(model, sources, most_tokens=None, sampler="greedy"):
    """Translations; what is too long is cut, as in training."""
    return model.generate(sources, most_tokens, sampler, truncate=True, batch_size=64)


def evaluate(args):
    """Measure the last checkpoint on the test part; returns the measurements."""
    model = make_model(args, "float32")
    restore_weights(args.output / CheckpointAndLog.CHECKPOINT, model)
    return measure(model, load_pairs(args), args)


def measure(model, parts, args):
    """Loss, BLEU and chrF on the test part, greedily and with a beam, and on what is new in it."""
    tokenize, _ = SETS.get(args.pairs, ("13a", 0))
    pairs = parts["test"]
    logs = model.evaluate(pairs, batch_size=64, verbose=0, return_dict=True)
    seen = {target for _, target in parts["train"]}
    most_tokens = 48 if args.pairs == SHIPPED else None  # sentences are short there
    sources = list(dict.fromkeys(source for source, _ in pairs))
    results = {"test": {"pairs": len(pairs), **logs}}
    for name, sampler in (("greedy", "greedy"), ("beam", zoo.generation.Beam(args.beam))):
        began = time.perf_counter()
        written = write(model, sources, most_tokens, sampler)
        seconds = time.perf_counter() - began
        translations = dict(zip(sources, written, strict=True))
        for part, chosen in (
            (name, pairs),
            (f"{name}, targets not in train", [pair for pair in pairs if pair[1] not in seen]),
        ):
            references = [target for _, target in chosen]
            found = [translations[source] for source, _ in chosen]
            results[part] = {
                "pairs": len(chosen),
                "bleu": metrics.bleu(references, found, tokenize)["bleu"],
                "chrf": metrics.chrf(references, found)["chrf"],
                "sentences_per_second": len(sources) / seconds,
            }
    print(json.dumps(results, indent=2))
    return results


def publish_preset(args):
    """Write the preset folder and measure what ships."""
    model = make_model(args, "float32")
    restore_weights(args.output / CheckpointAndLog.CHECKPOINT, model)
    save_beside_card(model, args.preset)
    results = measure(zoo.load(args.preset), load_pairs(args), args)
    write_measurements(args.preset / "README.md", measurement_table(results))
    draw_curve(args.output / CheckpointAndLog.LOG, args.preset / CURVE_NAME)
    write_facts(args.preset, "Tatoeba", f"BLEU {results['beam']['bleu']:.1f}")


def measurement_table(results):
    lines = ["| test part | pairs | BLEU | chrF |", "|---|---:|---:|---:|"]
    for name, scores in results.items():
        if "bleu" in scores:
            lines.append(
                f"| {name} | {scores['pairs']:,} | {scores['bleu']:.1f} | {scores['chrf']:.1f} |"
            )
    return "\n".join(lines)


def main():
    """Run one stage."""
    parser = argparse.ArgumentParser(description="Train and measure translation.")
    parser.add_argument("stage", choices=["tokenizer", "train", "evaluate", "publish"])
    parser.add_argument("--pairs", default="tatoeba_en_fr", help="a known set, or a file")
    parser.add_argument("--model", default="transformer", choices=["transformer", "lstm"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=512, help="pairs")
    parser.add_argument("--peak", type=float, help="the highest learning rate")
    parser.add_argument("--beam", type=int, default=5, help="width in the evaluation")
    parser.add_argument("--output", type=Path, help="runs/PAIRS-MODEL, if left out")
    parser.add_argument("--preset", type=Path, help="with the tokenizer; runs/PAIRS for other sets")
    args = parser.parse_args()
    name = Path(args.pairs).stem
    # Nothing but the set that ships may write into its preset unasked.
    folder = "presets/transformer-small-en-fr" if name == SHIPPED else f"runs/{name}"
    args.peak = PEAKS[args.model] if args.peak is None else args.peak
    args.preset = args.preset or Path(folder)
    args.output = args.output or Path(f"runs/{name}-{args.model}")
    if args.stage == "publish" and (args.pairs, args.model) != (SHIPPED, "transformer"):
        parser.error(f"publish is for the Transformer of {SHIPPED}; use evaluate for others.")
    stages = {
        "tokenizer": train_tokenizer,
        "train": train,
        "evaluate": evaluate,
        "publish": publish_preset,
    }
    stages[args.stage](args)


if __name__ == "__main__":
    main()
