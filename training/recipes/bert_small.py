"""The run that made `bert-small`: about 10 M parameters on public-domain English.

    python -m zoo.training.recipes.bert_small data       # corpora, tokenizer, sentences as ids
    python -m zoo.training.recipes.bert_small train --length 32 --batch-size 128 --until 1350
    python -m zoo.training.recipes.bert_small train             # then rows of 128
    python -m zoo.training.recipes.bert_small publish    # evaluation, curve, card, preset folder

The steps of the run that ships, and what it left out, are on its card.
Training resumes from its own checkpoint: short rows first, in which neighbours are found sooner.
Set KERAS_BACKEND=torch on a CPU with bfloat16 instructions, where it is the fastest. Tatoeba is
left out, as its sentences do not follow one another. Muon (Liu et al., 2025,
https://arxiv.org/abs/2502.16982) moves the hidden matrices, Adam the rest.
"""

import argparse
import itertools
from pathlib import Path

import keras
import numpy as np
from zoo.training import corpora
from zoo.training.callbacks import CheckpointAndLog
from zoo.training.checkpoints import restore_checkpoint, restore_weights
from zoo.training.muon import Muon
from zoo.training.publishing import (
    CURVE_NAME,
    draw_curve,
    save_beside_card,
    write_facts,
    write_measurements,
)
from zoo.training.schedules import WarmupStableDecay

import zoo
from zoo.layers import SinusoidalPositions
from zoo.models import BERT
from zoo.objectives import split_sentences
from zoo.optimizers import NOT_DECAYED
from zoo.tasks import BertPretrainer
from zoo.tokenizers import Tokenizer, WordPieceTokenizer

CORPORA = ("gutenberg", "sotu", "shakespeare", "web_bible", "brown")
BACKBONE = {
    "vocab_size": 8192,
    "num_layers": 6,
    "num_heads": 5,
    "hidden_dim": 320,
    "max_length": 256,
    "dropout": 0.0,  # the run sees each token about once
}
SOURCE = "books, speeches, Brown"
SEED = 0


def prepare_data(args):
    """Fetch the corpora, train the tokenizer on the training part, tokenise both by sentences."""
    documents = [d for name in CORPORA for d in corpora.load(name)]
    train, valid = corpora.split(documents, corpora.ARCHAIC)
    tokenizer = WordPieceTokenizer.train((d.text for d in train), BACKBONE["vocab_size"])
    args.preset.mkdir(parents=True, exist_ok=True)
    tokenizer.save(args.preset)
    for name, part in (("train", train), ("valid", valid)):
        print(name, save_sentences(args.data / f"{name}.npz", part, tokenizer), "tokens")


def save_sentences(path, documents, tokenizer):
    """Token ids of all sentences, and how many of these and of those each part has."""
    documents = [tokenizer.encode(split_sentences(document.text)) for document in documents]
    sentences = list(itertools.chain.from_iterable(documents))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        ids=np.fromiter(itertools.chain.from_iterable(sentences), "uint16"),
        sentence_lengths=np.array([len(ids) for ids in sentences], "int32"),
        document_lengths=np.array([len(document) for document in documents], "int32"),
    )
    return sum(map(len, sentences))


def load_sentences(path):
    """Documents as lists of sentences, each an array of token ids."""
    with np.load(path) as arrays:
        ends = np.cumsum(arrays["sentence_lengths"])
        sentences = np.split(arrays["ids"], ends[:-1])
        counts = arrays["document_lengths"]
    sentences = iter(sentences)
    return [list(itertools.islice(sentences, int(count))) for count in counts]


def start_with_waves(position_embedding):
    """Learned positions start as sinusoids, so that those of later, longer rows are no noise."""
    table = position_embedding.embeddings
    waves = SinusoidalPositions(base=1000)(keras.ops.zeros((1, *table.shape)))
    table.assign(0.03 * waves[0])


def train(args):
    """Train from scratch or from the checkpoint in the output folder."""
    keras.utils.set_random_seed(SEED)
    tokenizer = Tokenizer.load(args.preset)
    backbone = BERT(**BACKBONE, dtype="mixed_bfloat16")
    start_with_waves(backbone.position_embedding)
    # A short run learns sooner from more masks, and from pieces of words, than from whole words.
    model = BertPretrainer(backbone, tokenizer, args.length, args.mask_rate, whole_words=False)
    schedule = WarmupStableDecay(args.peak, args.warmup, args.decay, args.steps)
    # Blocks with norms after them want a lower rate than the embeddings.
    optimizer = Muon(
        schedule,
        adam_beta_2=0.98,
        weight_decay=0.1,
        adam_weight_decay=0.0,
        adam_lr_ratio=3.0,
        global_clipnorm=1.0,
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer=optimizer)

    rows = model.batches(load_sentences(args.data / "train.npz"), args.batch_size, SEED)
    held_out = load_sentences(args.data / "valid.npz")
    held_out = model.batches(held_out, args.batch_size, SEED, is_fixed=True)
    log = CheckpointAndLog(args.output, tokens_per_step=args.batch_size * args.length)
    start = restore_checkpoint(log.checkpoint, model) if log.checkpoint.exists() else 0
    model.fit(
        rows,
        initial_epoch=start // args.eval_every,
        epochs=(args.until or args.steps) // args.eval_every,
        steps_per_epoch=args.eval_every,
        validation_data=held_out,
        validation_steps=args.eval_batches,
        callbacks=[log],
        verbose=2,
    )


def publish_preset(args):
    """Measure the last checkpoint on the held-out documents and write the preset folder."""
    tokenizer = Tokenizer.load(args.preset)
    trained = BertPretrainer(BERT(**BACKBONE, dtype="float32"), tokenizer)
    restore_weights(args.output / CheckpointAndLog.CHECKPOINT, trained)
    arguments = {**BACKBONE, "max_length": args.context}
    model = BertPretrainer(BERT(**arguments, dtype="float32"), tokenizer)
    for ours, theirs in zip(model.weights, trained.weights, strict=True):
        # The table of positions may be longer than what the run made use of.
        ours.assign(theirs[: ours.shape[0]] if ours.shape != theirs.shape else theirs)
    save_beside_card(model, args.preset)
    model = zoo.load(args.preset)  # what is measured is what ships
    measured = {}
    for name in (*CORPORA, "all"):
        chosen = CORPORA if name == "all" else (name,)
        documents = [d for one in chosen for d in corpora.load(one)]
        _, valid = corpora.split(documents, corpora.ARCHAIC)
        if len(valid) > 1:  # a wrong next sentence comes from another document
            texts = [document.text for document in valid]
            measured[name] = model.evaluate(texts, verbose=0, return_dict=True)
    write_measurements(args.preset / "README.md", measurement_table(measured))
    log, curve = args.output / CheckpointAndLog.LOG, args.preset / CURVE_NAME
    draw_curve(log, curve, "masked_lm_loss", "nats per masked token")
    metric = f"masked tokens {measured['all']['masked_lm_accuracy']:.1%} right"
    write_facts(args.preset, SOURCE, metric, task="masked_lm", task_arguments={})
    print(measured)


def measurement_table(measured):
    lines = [
        "| held-out text | nats per masked token | right | nats per pair | right |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, logs in measured.items():
        lines.append(
            f"| {name} | {logs['masked_lm_loss']:.3f} | {logs['masked_lm_accuracy']:.1%} "
            f"| {logs['next_sentence_loss']:.3f} | {logs['next_sentence_accuracy']:.1%} |"
        )
    return "\n".join(lines)


def main():
    """Run one stage."""
    parser = argparse.ArgumentParser(description="Make the preset bert-small.")
    parser.add_argument("stage", choices=["data", "train", "publish"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--until", type=int, help="the step to stop at for now")
    parser.add_argument("--peak", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--warmup", type=int, default=60, help="steps to it")
    parser.add_argument("--decay", type=int, default=800, help="steps from it to 0, at the end")
    parser.add_argument("--length", type=int, default=128, help="tokens in a row")
    parser.add_argument("--context", type=int, default=256, help="positions to publish")
    parser.add_argument("--mask-rate", type=float, default=0.25, help="share of tokens to learn")
    parser.add_argument("--batch-size", type=int, default=32, help="rows")
    parser.add_argument("--eval-every", type=int, default=50, help="steps")
    parser.add_argument("--eval-batches", type=int, default=8)
    parser.add_argument("--data", type=Path, default=Path("data/bert-small"))
    parser.add_argument("--output", type=Path, default=Path("runs/bert-small"))
    parser.add_argument("--preset", type=Path, default=Path("presets/bert-small"))
    args = parser.parse_args()
    {"data": prepare_data, "train": train, "publish": publish_preset}[args.stage](args)


if __name__ == "__main__":
    main()
