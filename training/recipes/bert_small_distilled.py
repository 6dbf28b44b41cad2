"""The run that makes `bert-small` from all-MiniLM-L6-v2: 10.1 M parameters, 20.2 MB.

    python -m zoo.training.recipes.bert_small_distilled data     # corpora, vocabulary, rows as ids
    python -m zoo.training.recipes.bert_small_distilled train    # goes on from its own checkpoint
    python -m zoo.training.recipes.bert_small_distilled publish  # measures, curve, preset folder

The student is four of the teacher's six layers, as wide as they are, over the part of its
vocabulary that the corpora need most. It learns masked tokens, and from the teacher, which reads
the same text without masks, the hidden states of each piece of text and the vectors of whole texts:
so that `fill` and `embedding` both work. Half of the rows are single sentences, half are as many as
fit; half of the rows have no masks.

`train` reads nothing but the folder that `data` writes. `--quick` tries every stage in a minute, in
folders of its own. KERAS_BACKEND=torch is the fastest on a CPU with bfloat16 instructions.
"""

import argparse
import itertools
import time
from pathlib import Path

import keras
import numpy as np
from zoo.training import corpora, pretrained
from zoo.training.aligned_rows import AlignedRows, MaskedAlignedBatches
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint, restore_weights
from zoo.training.distillation import (
    Distiller,
    HiddenStates,
    OwnLoss,
    SentenceVectors,
    copy_layers,
    prune_vocabulary,
)
from zoo.training.distillation.alignment import Aligner
from zoo.training.publishing import (
    CURVE_NAME,
    draw_curve,
    save_beside_card,
    write_facts,
    write_measurements,
)
from zoo.training.schedules import WarmupStableDecay

import zoo
from zoo.models import BERT
from zoo.objectives import split_sentences
from zoo.optimizers import NOT_DECAYED
from zoo.tokenizers import Tokenizer

TEACHER = "all-minilm-l6-v2"
CORPORA = ("gutenberg", "sotu", "shakespeare", "web_bible", "brown", "tatoeba_english")
COPIED = (0, 2, 4, 5)  # the teacher's blocks that the student starts from, counted from 0
BACKBONE = {
    "vocab_size": 7168,
    "num_layers": len(COPIED),
    "num_heads": 12,
    "hidden_dim": 384,
    "mlp_dim": 1536,
    "max_length": 256,
    "dropout": 0.0,
}
CARD = "<!-- measured:start -->\n<!-- measured:end -->\n"  # of a preset that has none yet
SOURCE = "all-MiniLM-L6-v2; books, speeches, Brown, Tatoeba"
SEED = 0
NUM_SIMILAR = 1000  # held-out texts whose likeness is compared with what the teacher makes of it


def prepare_data(args):
    """The teacher in half precision, the tokenizer, and both parts of the corpora as rows."""
    teacher = zoo.load(pretrained.fetch(TEACHER), task="embedding")
    zoo.save(teacher, args.data / "teacher", weights_dtype="float16")
    documents = [d for name in (CORPORA[:1] if args.quick else CORPORA) for d in load(name, args)]
    train, valid = corpora.split(documents, corpora.ARCHAIC)
    tokenizer = prune_vocabulary(teacher.tokenizer, (d.text for d in train), BACKBONE["vocab_size"])
    tokenizer.save(args.data)
    align = Aligner(make_student(tokenizer), teacher)
    for name, part in (("valid", valid), ("train", train)):
        rows = AlignedRows.of(rows_of(part, tokenizer, args.length), align)
        rows.save(args.data / f"{name}.npz")
        print(name, len(rows), "rows,", sum(map(len, rows.ids)), "tokens")


def load(name, args):
    documents = corpora.load(name)
    if not args.quick:
        return documents
    kept = [d for d in documents if corpora.held_out(d.id)][:1] + documents[:1]
    return [document._replace(text=document.text[:20_000]) for document in kept]


def rows_of(documents, tokenizer, length):
    """Rows of token ids: single sentences, or as many as fit, each as often as the other."""
    rng = np.random.default_rng(SEED)
    special = tokenizer.special_ids
    for document in documents:
        sentences = tokenizer.encode(split_sentences(document.text))
        row, room = [], length - 2
        is_single = rng.random() < 0.5
        for ids in itertools.chain(sentences, [[]]):
            parts = [ids[i : i + room] for i in range(0, len(ids), room)] or [[]]
            for part in parts:
                if row and (is_single or not part or len(row) + len(part) > room):
                    yield [special["[CLS]"], *row, special["[SEP]"]]
                    row, is_single = [], rng.random() < 0.5
                row = row + part


def make_student(tokenizer, mask_rate=0.15, dtype="float32"):
    return zoo.MaskedLM(BERT(**BACKBONE, dtype=dtype), tokenizer, mask_rate=mask_rate)


def train(args):
    """Train from the teacher's layers, or from the checkpoint in the output folder."""
    keras.utils.set_random_seed(SEED)
    teacher = zoo.load(args.data / "teacher", dtype=args.dtype)
    student = make_student(Tokenizer.load(args.data), args.mask_rate, args.dtype)
    copy_layers(teacher, student, COPIED)
    pairs = [(i + 1, layer + 1) for i, layer in enumerate(COPIED)]
    losses = [
        OwnLoss(args.own),
        HiddenStates(pairs, weight=args.hidden),
        SentenceVectors(weight=args.vectors),
    ]
    model = Distiller(student, teacher, losses)
    schedule = WarmupStableDecay(args.peak, args.warmup, args.decay, args.steps)
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=0.01, beta_2=0.98, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer)
    rows, held_out = (AlignedRows.load(args.data / f"{part}.npz") for part in ("train", "valid"))
    masks = student.objective()
    batches = MaskedAlignedBatches(rows, masks, args.batch_size, args.clean, SEED)
    held_out = MaskedAlignedBatches(held_out, masks, args.batch_size, 0.0, SEED, is_fixed=True)
    mean_length = sum(map(len, rows.ids)) / len(rows)
    log = CheckpointAndLog(args.output, tokens_per_step=int(args.batch_size * mean_length))
    start = restore_checkpoint(log.checkpoint, model) if log.checkpoint.exists() else 0
    print(f"{len(batches)} steps an epoch of {mean_length:.0f} tokens a row, from step {start}")
    began = time.perf_counter()
    model.fit(
        batches,
        initial_epoch=start // args.eval_every,
        epochs=(args.until or args.steps) // args.eval_every,
        steps_per_epoch=args.eval_every,
        validation_data=held_out,
        validation_steps=args.eval_batches,
        callbacks=[log],
        verbose=2,
    )
    steps = int(model.optimizer.iterations) - start
    speed = steps * log.tokens_per_step / (time.perf_counter() - began)
    print(f"{speed:,.0f} tokens a second, evaluation included")


def publish_preset(args):
    """Measure the last checkpoint on held-out text and write the preset folder."""
    teacher = zoo.load(args.data / "teacher", dtype="float32")
    model = make_student(Tokenizer.load(args.data))
    restore_weights(args.output / CheckpointAndLog.CHECKPOINT, model)
    args.preset.mkdir(parents=True, exist_ok=True)
    if not (args.preset / "README.md").exists():
        (args.preset / "README.md").write_text(CARD, encoding="utf-8")
    save_beside_card(model, args.preset)
    model = zoo.load(args.preset)  # what is measured is what ships
    texts, measured = {}, {}
    for name in CORPORA[:1] if args.quick else CORPORA:
        _, valid = corpora.split(load(name, args), corpora.ARCHAIC)
        texts[name] = [document.text for document in valid]
    texts["all"] = list(itertools.chain.from_iterable(texts.values()))
    for name, part in texts.items():
        measured[name] = model.evaluate(part, verbose=0, return_dict=True)
    likeness = spearman_with_teacher(zoo.load(args.preset, task="embedding"), teacher, texts["all"])
    write_measurements(args.preset / "README.md", measurement_table(measured, likeness))
    log, curve = args.output / CheckpointAndLog.LOG, args.preset / CURVE_NAME
    draw_curve(log, curve, "own_loss", "nats per masked token")
    metric = f"masked tokens {measured['all']['accuracy']:.1%} right"
    write_facts(args.preset, SOURCE, metric)
    print(measured, f"Spearman {likeness:.3f}")


def spearman_with_teacher(student, teacher, texts):
    """Rank correlation of both models' cosines, over all pairs of held-out sentences."""
    sentences = itertools.chain.from_iterable(map(split_sentences, texts))
    sentences = [one for one in dict.fromkeys(sentences) if len(one.split()) >= 4]
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(sentences))[:NUM_SIMILAR]
    chosen = [sentences[place] for place in sorted(chosen)]
    first, second = np.triu_indices(len(chosen), 1)
    ranks = [
        np.argsort(np.argsort(model.similarity(chosen, chosen)[first, second]))
        for model in (student, teacher)
    ]
    return float(np.corrcoef(*ranks)[0, 1])


def measurement_table(measured, likeness):
    lines = ["| held-out text | nats per masked token | right |", "|---|---:|---:|"]
    for name, logs in measured.items():
        lines.append(f"| {name} | {logs['loss']:.3f} | {logs['accuracy']:.1%} |")
    pairs = f"over all pairs of {NUM_SIMILAR:,} held-out sentences"
    lines += ["", f"Spearman's correlation with the teacher's cosines, {pairs}: {likeness:.3f}."]
    return "\n".join(lines)


def main():
    """Run one stage."""
    parser = argparse.ArgumentParser(description="Make the preset bert-small from a teacher.")
    parser.add_argument("stage", choices=["data", "train", "publish"])
    parser.add_argument("--steps", type=int, default=24_000)
    parser.add_argument("--until", type=int, help="the step to stop at for now")
    parser.add_argument("--peak", type=float, default=6e-4, help="the highest learning rate")
    parser.add_argument("--warmup", type=int, default=500, help="steps to it")
    parser.add_argument("--decay", type=int, default=12_000, help="steps from it to 0, at the end")
    parser.add_argument("--length", type=int, default=128, help="most tokens in a row")
    parser.add_argument("--batch-size", type=int, default=64, help="rows")
    parser.add_argument("--mask-rate", type=float, default=0.2, help="share of tokens to learn")
    parser.add_argument("--clean", type=float, default=0.5, help="share of rows without masks")
    parser.add_argument("--own", type=float, default=1.0, help="weight of masked tokens")
    parser.add_argument("--hidden", type=float, default=10.0, help="weight of hidden states")
    parser.add_argument("--vectors", type=float, default=5.0, help="weight of sentence vectors")
    parser.add_argument("--dtype", default="mixed_bfloat16")
    parser.add_argument("--eval-every", type=int, default=200, help="steps")
    parser.add_argument("--eval-batches", type=int, default=16)
    parser.add_argument("--data", type=Path, default=Path("data/bert-small-distilled"))
    parser.add_argument("--output", type=Path, default=Path("runs/bert-small-distilled"))
    parser.add_argument("--preset", type=Path, default=Path("presets/bert-small"))
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.warmup, args.decay = 8, 2, 4
        args.eval_every, args.eval_batches, args.batch_size = 4, 1, 8
        args.data, args.output = args.data / "quick", args.output / "quick"
        args.preset = args.output / "preset"
    {"data": prepare_data, "train": train, "publish": publish_preset}[args.stage](args)


if __name__ == "__main__":
    main()
