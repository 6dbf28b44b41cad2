"""Laps of one claim, one for each line that comes in: the other half of `benchmarks.versions`.

Run by its path: `benchmarks` is that of the checkout whose root is on PYTHONPATH.
"""

import json
import math
import sys
import time

import numpy as np

from benchmarks import inputs
from benchmarks.libraries import import_library
from benchmarks.sizes import choose

LAP_SECONDS = 1.5
TEXTS = 64
CALLS = 4  # of a short one in a lap


def train_small(library, sizes, work):
    model = library.build(sizes)
    return _steps(model, work.rows, lambda rows: inputs.training_rows(sizes, rows, work.length))


def lstm_train(library, sizes, work):
    model, rows, length = library.build(sizes), work.lstm_rows, work.lstm_length
    return _steps(model, rows, lambda count: inputs.training_rows(sizes, count, length))


def _steps(model, rows, make_data):
    """So many steps that a lap takes a second or two."""
    one = make_data(rows)
    model.fit(*one, rows)
    seconds = _seconds(lambda: model.fit(*one, rows))
    data = make_data(rows * min(8, max(1, math.ceil(LAP_SECONDS / seconds))))
    return lambda: model.fit(*data, rows)


def generate_1(library, sizes, work):
    model, prompts = library.build(sizes), inputs.prompts(sizes, [work.prompt])
    return lambda: [model.generate(prompts, work.new_tokens) for _ in range(CALLS)]


def finetune(library, sizes, work):
    model, texts = library.build_classifier(sizes), inputs.passages(TEXTS)
    labels = inputs.labels(sizes, TEXTS)
    return lambda: model.fit(texts, labels, work.texts_per_batch)


def seq2seq_translate(library, sizes, work):
    lengths = np.linspace(work.shortest_source, work.longest_source, work.sources)
    model, sources = library.build(sizes), inputs.sources(sizes, lengths.astype(int).tolist())
    return lambda: [model.translate(sources, work.target_tokens) for _ in range(CALLS)]


LAPS = {
    "train-small": ("gpt_small", train_small),
    "generate-1": ("gpt_small", generate_1),
    "finetune": ("minilm", finetune),
    "lstm-train": ("lstm_small", lstm_train),
    "seq2seq-translate": ("seq2seq_small", seq2seq_translate),
}


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    name, make = LAPS[sys.argv[1]]
    sizes, work = choose(name, quick=False)
    lap = make(import_library("zoo", sizes.family), sizes, work)
    lap()
    for _ in sys.stdin:
        print(json.dumps({"seconds": _seconds(lap)}), flush=True)


if __name__ == "__main__":
    main()
