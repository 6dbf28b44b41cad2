"""The measurements. Each is a function of a `Task` and returns numbers by name."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks import inputs, pair_measures, text_measures
from benchmarks.checks import check_finite, check_first_loss, check_size
from benchmarks.sizes import Sizes, Workload
from benchmarks.timing import (
    peak_bytes,
    resident_bytes,
    seconds_of,
    seconds_of_step,
    steady_seconds,
)


@dataclass
class Task:
    """What a worker process was asked to measure."""

    library: ModuleType
    sizes: Sizes
    workload: Workload
    preset: Path | None = None  # a folder with weights of these sizes
    started: float | None = None  # when the process was, as time.time() tells it
    _model: object = None

    @property
    def model(self):
        """One model for all measurements of these sizes."""
        if self._model is None:
            self._model = self.library.build(self.sizes)
        return self._model


def train(task):
    """Training steps in laps of a second or two; the very first step counts apart."""
    work = task.workload

    def prepare(steps):
        data = inputs.training_rows(task.sizes, steps * work.rows, work.length)
        return lambda: task.model.fit(*data, work.rows)

    first, seconds = seconds_of_step(prepare, work)
    return {
        "tokens_per_second": work.rows * work.length / seconds,
        "first_call_seconds": first,
    }


def train_lstm(task):
    """The same of an LSTM, on more and shorter rows; it is checked that all do the same work."""
    model, work = task.model, task.workload
    check_size(model.num_parameters, task.sizes)
    losses = []

    def prepare(steps):
        data = inputs.training_rows(task.sizes, steps * work.lstm_rows, work.lstm_length)
        return lambda: losses.append(model.fit(*data, work.lstm_rows))

    first, seconds = seconds_of_step(prepare, work)
    check_first_loss(losses[0], task.sizes.vocab_size, tolerance=0.3)
    check_finite(losses)
    return {
        "tokens_per_second": work.lstm_rows * work.lstm_length / seconds,
        "first_call_seconds": first,
    }


def generate_one(task):
    """One prompt."""
    return _generate(task, inputs.prompts(task.sizes, [task.workload.prompt]))


def generate_many(task):
    """Prompts of many lengths in one batch."""
    work = task.workload
    lengths = np.linspace(work.shortest_prompt, work.longest_prompt, work.ragged_prompts)
    return _generate(task, inputs.prompts(task.sizes, lengths.astype(int).tolist()))


def _generate(task, prompts):
    new_tokens = task.workload.new_tokens

    def generate():
        rows = task.model.generate(prompts, new_tokens)
        for prompt, row in zip(prompts, rows, strict=True):
            if len(row) < len(prompt) + new_tokens:
                raise ValueError(f"{new_tokens} new tokens were asked for; got {len(row)} in all.")

    first = seconds_of(generate)
    seconds = steady_seconds(generate, task.workload)
    return {
        "tokens_per_second": len(prompts) * new_tokens / seconds,
        "first_call_seconds": first,
    }


def first_token(task):
    """From a long prompt to the first token of a continuation that may fill the context."""
    context = task.workload.long_context
    model = task.library.build(replace(task.sizes, context=context))
    (prompt,) = inputs.prompts(task.sizes, [task.workload.long_prompt])
    first = seconds_of(lambda: model.first_token(prompt, context))
    seconds = steady_seconds(lambda: model.first_token(prompt, context), task.workload)
    return {"seconds": seconds, "first_call_seconds": first}


def load(task):
    """From the start of the process, imports included, to the first logits."""
    token_ids = inputs.prompts(task.sizes, [8])
    logits = task.library.load(task.preset).logits(token_ids)
    seconds = time.time() - task.started
    if logits.shape != (1, 8, task.sizes.vocab_size):
        raise ValueError(f"Logits of a 1 x 8 input were asked for; got shape {logits.shape}.")
    return {"seconds": seconds, "bytes": peak_bytes()}


def load_checkpoint(task):
    """A folder of transformers, read when all imports are done, and the memory that it takes.

    `bytes` are those at the peak above what the process had before: for a library that holds the
    weights once, and each tensor of a file only while it is read, little more than the file's.
    """
    floor, start = resident_bytes(), time.perf_counter()
    model = task.library.load(task.preset)
    seconds, peak = time.perf_counter() - start, peak_bytes()
    if hasattr(model, "logits"):
        shape = model.logits(inputs.prompts(task.sizes, [8])).shape
        if shape != (1, 8, task.sizes.vocab_size):
            raise ValueError(f"Logits of a 1 x 8 input were asked for; got shape {shape}.")
    return {"seconds": seconds, "bytes": peak - floor}


def train_memory(task):
    """The peak of a process that builds a model and takes a few steps."""
    work = task.workload
    data = inputs.training_rows(task.sizes, work.memory_steps * work.rows, work.memory_length)
    task.model.fit(*data, work.rows)
    return {"bytes": peak_bytes()}


def tokenise(task):
    """Texts to training rows."""
    texts = inputs.paragraphs(task.workload.text_bytes * task.library.TEXT_SHARE)
    pack = task.library.text_packer(task.workload.memory_length)
    first = seconds_of(lambda: pack(texts))
    seconds = steady_seconds(lambda: pack(texts), task.workload)
    num_bytes = sum(len(text.encode()) for text in texts)
    return {"megabytes_per_second": num_bytes / 1e6 / seconds, "first_call_seconds": first}


def train_curve(task):
    """Seconds of a training step of one row, against its length."""
    lengths = task.workload.curve_lengths
    model = task.library.build(replace(task.sizes, context=max(lengths)))
    seconds = []
    for length in lengths:
        row = inputs.training_rows(task.sizes, 1, length)
        seconds.append(_quick_seconds(lambda row=row: model.fit(*row, 1)))
    return {"x": lengths, "seconds": seconds}


def decode_curve(task):
    """Seconds a token, against its position: what each more hundred of tokens adds."""
    counts = task.workload.curve_tokens
    prompts = inputs.prompts(task.sizes, [task.workload.prompt])
    model = task.library.build(replace(task.sizes, context=task.workload.long_context))
    totals = [_quick_seconds(lambda n=n: model.generate(prompts, n)) for n in counts]
    edges = np.array([0, *counts])
    seconds = np.diff([0.0, *totals]) / np.diff(edges)
    return {"x": ((edges[1:] + edges[:-1]) / 2).tolist(), "seconds": seconds.tolist()}


def _quick_seconds(function):
    """The second of two calls: a point of a curve, not a claim."""
    function()
    return seconds_of(function)


MEASURES = {
    function.__name__: function
    for function in (
        train,
        generate_one,
        generate_many,
        first_token,
        load,
        load_checkpoint,
        train_memory,
        tokenise,
        train_curve,
        decode_curve,
        text_measures.finetune,
        text_measures.embed,
        pair_measures.train_pairs,
        pair_measures.translate,
        pair_measures.translate_beam,
        train_lstm,
    )
}
