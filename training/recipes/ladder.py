"""The ladder of language models: what counts, an LSTM and a GPT make of the same tokens.

    python -m zoo.training.recipes.ladder                      # everything, then table and picture
    python -m zoo.training.recipes.ladder --corpora wikitext-2 --models lstm
    python -m zoo.training.recipes.ladder --tokens 12288000    # all read more

Each rung reads the same stream of tokens in the same vocabulary; the two neural models have as many
parameters. What is done is kept in the output folder: a second call goes on with what is missing.
Set KERAS_BACKEND=torch on a CPU with bfloat16 instructions.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from zoo.training import corpora, metrics
from zoo.training.ladder_report import draw, table
from zoo.training.muon import Muon
from zoo.training.ngram import KneserNey
from zoo.training.recipes import gpt_small
from zoo.training.schedules import WarmupStableDecay

import zoo
from zoo.data.token_files import TokenFile, write_token_file
from zoo.files import write_atomically
from zoo.models import GPT, LSTM
from zoo.objectives import continued_rows
from zoo.optimizers import NOT_DECAYED
from zoo.tokenizers import BytePairTokenizer, Tokenizer

CORPORA = {"wikitext-2": ("wikitext-2",), "books": gpt_small.CORPORA}
COUNTS = {"bigram": 2, "5-gram": 5}
MODELS = (*COUNTS, "lstm", "gpt")
VOCAB_SIZE = 8192
TOKENS = 4_096_000
UNIT = 4096  # of which it is a multiple: a step of each model, or two
BACKBONES = {  # 5.3 million parameters each
    "lstm": (LSTM, {"num_layers": 2, "hidden_dim": 256, "inner_dim": 640, "max_length": 256}),
    "gpt": (GPT, {"num_layers": 4, "num_heads": 4, "hidden_dim": 256, "max_length": 256}),
}
# Of a step: rows, and their length. An LSTM starts to read its input late, and needs the steps.
ROWS = {"lstm": (64, 32), "gpt": (16, 256)}
PEAKS = {"lstm": 1e-2, "gpt": 3e-3}
PROMPT = "It was a dark"
NEW_TOKENS = 128
SEED = 0


def prepare(folder, name):
    """Tokenizer, training stream, test stream and test texts of a corpus; made at first use."""
    documents = [d for part in CORPORA[name] for d in corpora.load(part)]
    train, held_out = corpora.split(documents, corpora.ARCHAIC)
    test = [d for d in held_out if d.id != "wikitext-2/valid"]
    if not (folder / "test.bin.json").exists():
        tokenizer = BytePairTokenizer.train((d.text for d in train), VOCAB_SIZE)
        tokenizer.save(folder)
        train = [train[i] for i in np.random.default_rng(SEED).permutation(len(train))]
        write_token_file(train, tokenizer, folder / "train.bin")
        write_token_file(test, tokenizer, folder / "test.bin")
    tokenizer = Tokenizer.load(folder)
    streams = [TokenFile(folder / f"{part}.bin").tokens for part in ("train", "test")]
    return tokenizer, *(np.array(stream, "int32") for stream in streams), [d.text for d in test]


def climb(args, corpus, name):
    """Train and measure one rung: a dict of numbers."""
    folder = args.output / corpus
    tokenizer, train, test, texts = prepare(folder, corpus)
    read = args.tokens
    if name in COUNTS:  # the same tokens again would not change what is counted
        read = min(read, len(train) - 1)
        nats, result = count(COUNTS[name], tokenizer, train[: read + 1], test)
    else:
        # A stream that is too short is read again from its start.
        stream = np.resize(train, args.tokens + 1)
        dropout = args.dropout if args.tokens > len(train) else 0.0
        model, result = fit(name, tokenizer, stream, dropout)
        zoo.save(model, folder / name, weights_dtype="float16")
        nats = nats_of_lstm(model, test) if name == "lstm" else nats_of_gpt(model, test)
        result["generated_per_second"] = generation_speed(model)
    perplexity = metrics.perplexity(nats, len(test) - 1, texts, count_lines=True)
    return {"tokens": read, "stream": len(train), **result, **perplexity}


def count(order, tokenizer, train, test):
    """Kneser-Ney counts: nats of the test stream, and speeds."""
    began = time.perf_counter()
    model = KneserNey(order).fit(train, tokenizer.vocab_size)
    seconds = time.perf_counter() - began
    nats = float(np.sum(model.nats(test)[1:]))
    rng = np.random.default_rng(SEED)
    ids = tokenizer.encode(PROMPT)
    began = time.perf_counter()
    for _ in range(NEW_TOKENS):
        ids.append(int(rng.choice(tokenizer.vocab_size, p=model.distribution(ids[1 - order :]))))
    generated = NEW_TOKENS / (time.perf_counter() - began)
    size = sum(len(level.keys) for level in model.levels)
    return nats, {
        "parameters": size,
        "trained_per_second": len(train) / seconds,
        "generated_per_second": generated,
    }


def fit(name, tokenizer, stream, dropout):
    """Train a neural model on a stream, once; returns it in float32, and its speed."""
    keras.utils.set_random_seed(SEED)
    cls, arguments = BACKBONES[name]
    arguments = {"vocab_size": tokenizer.vocab_size, "dropout": dropout, **arguments}
    num_rows, length = ROWS[name]
    task = {"stateful": True, "sequence_length": length} if name == "lstm" else {}
    model = zoo.CausalLM(cls(**arguments, dtype="mixed_bfloat16"), tokenizer, **task)
    steps = (len(stream) - 1) // (num_rows * length)
    schedule = WarmupStableDecay(PEAKS[name], steps // 10, steps // 2, steps)
    optimizer = Muon(
        schedule, adam_beta_2=0.98, weight_decay=0.1, adam_weight_decay=0.0, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    model.compile(optimizer)
    if name == "lstm":
        x, y, _ = continued_rows(stream, num_rows, length)
    else:
        order = np.random.default_rng(SEED).permutation(steps * num_rows)
        x, y = stream[:-1].reshape(-1, length)[order], stream[1:].reshape(-1, length)[order]
    speed = Speed()
    model.fit(x, y, batch_size=num_rows, shuffle=False, callbacks=[speed], verbose=2)
    trained = zoo.CausalLM(cls(**arguments, dtype="float32"), tokenizer, **task)
    trained.set_weights(model.get_weights())
    return trained, {
        "parameters": trained.count_params(),
        "trained_per_second": num_rows * length / speed.seconds_per_step(),
    }


class Speed(keras.callbacks.Callback):
    """Notes how long steps take."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def seconds_per_step(self):
        """The median: first calls compile, and machines have other things to do."""
        return float(np.median(np.diff(self.ends)))


def nats_of_lstm(model, stream):
    """Nats of a stream that is read in order, all in one go."""
    model.compile()
    rows, length = 8, ROWS["lstm"][1]
    x, y, weights = continued_rows(stream, rows, length)
    weights = np.ones(x.shape, "float32") if weights is None else weights
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=rows, verbose=0, return_dict=True)
    return logs["loss"] * float(weights.sum())


def nats_of_gpt(model, stream):
    """Nats of a stream read in windows, each token after half a window at least."""
    model.compile()
    length = ROWS["gpt"][1]
    starts = np.arange(0, max(len(stream) - 1 - length // 2, 1), length // 2)
    places = starts[:, None] + np.arange(length)
    is_there = places < len(stream) - 1
    is_new = np.arange(length) >= length // 2
    weights = (is_there & (is_new | (starts == 0)[:, None])).astype("float32")
    places = np.where(is_there, places, 0)
    logs = model.evaluate(
        stream[places],
        stream[places + 1],
        sample_weight=weights,
        batch_size=16,
        verbose=0,
        return_dict=True,
    )
    return logs["loss"] * float(weights.sum())


def generation_speed(model):
    """Tokens a second of one prompt; the median of three."""
    sampler, seconds = zoo.generation.Temperature(1.0), []
    for i in range(4):
        began = time.perf_counter()
        text = model.generate(PROMPT, max_new_tokens=NEW_TOKENS, sampler=sampler, seed=i)
        seconds.append((time.perf_counter() - began) / max(1, len(model.tokenizer.encode(text))))
    return 1 / float(np.median(seconds[1:]))


def main():
    """Climb the rungs that are missing, then write the table and the picture."""
    parser = argparse.ArgumentParser(description="Compare language models.")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=list(CORPORA))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="that each model reads")
    parser.add_argument("--dropout", type=float, default=0.1, help="where texts are read again")
    parser.add_argument("--output", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--report", type=Path, default=Path("benchmarks"))
    args = parser.parse_args()
    if args.tokens < UNIT or args.tokens % UNIT:
        parser.error(f"--tokens must be a multiple of {UNIT}; got {args.tokens}.")
    for corpus in args.corpora:
        for name in args.models:
            path = args.output / corpus / f"{name}.json"
            if not path.exists():
                result = climb(args, corpus, name)
                write_atomically(path, json.dumps(result, indent=2) + "\n")
                print(corpus, name, result, flush=True)
    found = {
        corpus: {
            name: json.loads((args.output / corpus / f"{name}.json").read_text(encoding="utf-8"))
            for name in MODELS
            if (args.output / corpus / f"{name}.json").exists()
        }
        for corpus in CORPORA
    }
    write_atomically(args.report / "ladder.md", table(found))
    draw(found, args.report / "ladder.png")
    print(table(found))


if __name__ == "__main__":
    main()
