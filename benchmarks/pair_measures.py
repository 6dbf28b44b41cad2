"""The measurements of encoder-decoders: functions of a `benchmarks.measures.Task`.

Each checks that the library does the same work as the others.
"""

import numpy as np

from benchmarks import inputs
from benchmarks.checks import check_finite, check_first_loss, check_size
from benchmarks.timing import seconds_of, seconds_of_step, steady_seconds

LOSS_TOLERANCE = 1.0  # nats, for a head that is tied to larger or smaller embeddings
LOGIT_TOLERANCE = 1e-3
BEAM_TOLERANCE = 0.01  # a search may lose the greedy path and end a little below it


def train_pairs(task):
    """Training steps on ready token ids; tokens of targets are counted."""
    model, work = task.model, task.workload
    check_size(model.num_parameters, task.sizes)
    losses = []

    def prepare(steps):
        data = inputs.training_pairs(task.sizes, steps * work.pairs, work.pair_length)
        return lambda: losses.append(model.fit(*data, work.pairs))

    first, seconds = seconds_of_step(prepare, work)
    check_first_loss(losses[0], task.sizes.vocab_size, LOSS_TOLERANCE)
    check_finite(losses)
    return {
        "tokens_per_second": work.pairs * work.pair_length / seconds,
        "first_call_seconds": first,
    }


def translate(task):
    """Sources of many lengths in one batch, each to the same number of tokens, greedily."""
    sources, write = _writer(task, width=1)
    targets = []
    first = seconds_of(lambda: targets.append(write()))
    if task.model.logits is not None:
        _check_greedy(task.model, sources, targets[0])
    return _speed(task, write, first)


def translate_beam(task):
    """The same with a beam."""
    sources, write_greedily = _writer(task, width=1)
    _, write = _writer(task, task.workload.beam_width)
    targets = []
    if task.model.logits is None:
        return _speed(task, write, seconds_of(write))
    greedy = _mean_nats(task.model, sources, write_greedily())
    first = seconds_of(lambda: targets.append(write()))
    nats = _mean_nats(task.model, sources, targets[0])
    if not nats < greedy * (1 + BEAM_TOLERANCE):
        raise ValueError(
            f"A beam must find targets as likely as greedy choice, of {greedy:.3f} nats a token; "
            f"got {nats:.3f}."
        )
    return _speed(task, write, first)


def _writer(task, width):
    """The sources, and a function that translates them and checks how much it wrote."""
    work = task.workload
    check_size(task.model.num_parameters, task.sizes)
    lengths = np.linspace(work.shortest_source, work.longest_source, work.sources)
    sources = inputs.sources(task.sizes, lengths.astype(int).tolist())

    def write():
        targets = task.model.translate(sources, work.target_tokens, width)
        lengths = [len(target) for target in targets]
        if lengths != [work.target_tokens] * len(sources):
            raise ValueError(
                f"{work.target_tokens} tokens were asked for from each of {len(sources)} sources; "
                f"got {lengths}."
            )
        return targets

    return sources, write


def _speed(task, write, first):
    num_tokens = task.workload.sources * task.workload.target_tokens
    seconds = steady_seconds(write, task.workload)
    return {"tokens_per_second": num_tokens / seconds, "first_call_seconds": first}


def _check_greedy(model, sources, targets):
    """Read in one pass, each token must be the likeliest, and padding must change nothing."""
    logits = _logits(model, sources, targets)
    chosen = np.take_along_axis(logits, np.array(targets)[:, :, None], axis=-1)[:, :, 0]
    shortfall = (logits.max(axis=-1) - chosen).max()
    if not shortfall < LOGIT_TOLERANCE:
        raise ValueError(f"Each token must have the largest logit; one has {shortfall} less.")
    alone = _logits(model, sources[:1], targets[:1])
    difference = np.abs(alone - logits[:1]).max()
    if not difference < LOGIT_TOLERANCE:
        raise ValueError(f"Padding must not change logits; it does by {difference}.")


def _mean_nats(model, sources, targets):
    logits = _logits(model, sources, targets)
    chosen = np.take_along_axis(logits, np.array(targets)[:, :, None], axis=-1)[:, :, 0]
    return float(np.mean(np.log(np.exp(logits).sum(axis=-1)) - chosen))


def _logits(model, sources, targets):
    """float64 `(sources, tokens, vocab_size)`: of each token from those before it."""
    targets = np.array(targets, "int32")
    starts = np.full((len(targets), 1), inputs.START, "int32")
    return model.logits(sources, np.hstack([starts, targets[:, :-1]])).astype("float64")
