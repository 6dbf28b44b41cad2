"""From the token ids of sources to those of targets, in batches of similar length."""

import numpy as np

from zoo.generation.beam import Beam
from zoo.generation.generate import STOP_CHECK_EVERY, until_end
from zoo.generation.noise import uniform_noise
from zoo.generation.stopping import cut_at_stop


def generate_targets(model, sources, around, request, num_return, batch_size):
    """Write the targets of sources; see `zoo.Seq2SeqLM.generate`.

    Args:
        model: a task with a `Seq2SeqDecoder` as its `decoder`.
        sources: a list of lists of token ids, none of them empty.
        around: two ints, the start token of targets and their end token.
        request: a `Request`.
        num_return: int, targets for each source.
        batch_size: int, sources that are read together.

    Returns:
        For each source a list of `num_return` lists of token ids, without end token.
    """
    if not isinstance(num_return, (int, np.integer)) or num_return < 1:
        raise ValueError(f"num_return must be a whole number of at least 1; got {num_return!r}.")
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1; got {batch_size!r}.")
    if isinstance(request.sampler, Beam):
        request.sampler.check(model.backbone.vocab_size, num_return)
    seeds = np.array(request.seeds(len(sources)))
    order = np.argsort([len(source) for source in sources], kind="stable")
    targets = [None] * len(sources)
    for i in range(0, len(order), batch_size):
        places = order[i : i + batch_size]
        # A last batch of another size would be compiled for itself.
        num_missing = batch_size - len(places) if len(order) > batch_size else 0
        filled = np.pad(places, (0, num_missing), mode="edge")
        rows = [sources[place] for place in filled]
        if isinstance(request.sampler, Beam):
            found = _search(model, rows, around, request, num_return)
        else:
            found = _sample(model, rows, around, request, num_return, seeds[filled])
        for place, several in zip(places, found, strict=False):
            targets[place] = [until_end(ids, around[1:]) for ids in several]
    return targets


def _search(model, rows, around, request, num_return):
    start_id, end_id = around
    found = model.decoder.search(
        rows, start_id, request.max_new_tokens, request.sampler, num_return, [end_id]
    )
    return [[ids for ids, _ in hypotheses] for hypotheses in found]


def _sample(model, rows, around, request, num_return, seeds):
    start_id, end_id = around
    samples = np.tile(np.arange(num_return), len(rows))
    noise = uniform_noise(np.repeat(seeds, num_return), samples, request.max_new_tokens)
    decoding = model.decoder.start(
        rows, start_id, request.max_new_tokens, request.sampler, noise, [end_id], num_return
    )
    while not decoding.is_done:
        decoding.advance(STOP_CHECK_EVERY if request.stop else request.max_new_tokens)
        if request.stop:
            ids = [until_end(row, [end_id]) for row in decoding.tokens.tolist()]
            texts = model.tokenizer.decode(ids)
            decoding.finish(np.array([cut_at_stop(text, request.stop) != text for text in texts]))
    return decoding.tokens.reshape(len(rows), num_return, -1).tolist()
