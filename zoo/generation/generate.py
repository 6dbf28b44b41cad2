"""Token ids in, token ids out: many texts in batches of similar length, or one token by token."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from zoo.backends.buckets import bucket, pad_rows
from zoo.generation.stopping import is_cut
from zoo.progress import Progress

LOOK_EVERY = 16  # tokens between looks for stop strings, and for texts that are over


def generate(
    decoder: Any, rows: list[list[int]], request: Any, decode: Callable | None = None
) -> list:
    """Continue prompts, or write the targets of sources.

    Args:
        decoder: a `Decoder`.
        rows: a list of lists of token ids, none of them empty.
        request: a `Request`.
        decode: from lists of token ids to texts, in which stop strings are looked for.

    Returns:
        For each row a list of `num_return` lists of new token ids, without what ends them; or of
        pairs of such a list and its `Scores`, if the request is for those.
    """
    seeds = np.array(request.seeds(len(rows)), "int64")
    order = np.argsort([len(row) for row in rows], kind="stable")
    results = [None] * len(rows)
    bar = Progress(len(rows), request.verbose)
    # For one batch alone, smaller ones are not worth tracing or compiling.
    thins_out = len(rows) > request.batch_size
    for i in range(0, len(order), request.batch_size):
        places = order[i : i + request.batch_size]
        # Another number of rows would be compiled for itself.
        filled = pad_rows(places, bucket(len(places), 1, request.batch_size))
        batch = [rows[place] for place in filled]
        found = _together(decoder, batch, request, seeds[:, filled], decode, thins_out)
        for place, continuations in zip(places, found, strict=False):
            results[place] = continuations
        bar.add(len(places))
    return results


def _together(decoder, rows, request, seeds, decode, thins_out):
    stop_ids = decoder.model.special_tokens.stop
    decoding = decoder.start(rows, request, seeds)
    looks_for_text = request.stop and decode and not request.sampler.cache_grows
    thins_out = thins_out and len(rows) > 1 and bool(stop_ids or looks_for_text)
    while not decoding.is_done:
        looks = looks_for_text or (thins_out and decoding.num_texts > 1)
        decoding.advance(LOOK_EVERY if looks else request.max_new_tokens)
        if looks_for_text and not decoding.is_done:
            found = request.sampler.results(decoding, request, stop_ids)
            texts = decode([ids for several in found for ids in several])
            decoding.finish(np.array([is_cut(text, request.stop) for text in texts]))
        if thins_out and not decoding.is_done:
            decoding.thin_out()
    if request.return_scores:
        return request.sampler.scored_results(decoding, request, stop_ids)
    return request.sampler.results(decoding, request, stop_ids)


def stream(decoder: Any, row: list[int], request: Any) -> Iterator[int]:
    """Yield the ids that follow one row, each as it is chosen."""
    stop_ids = decoder.model.special_tokens.stop
    decoding = decoder.start([row], request, request.seeds(1))
    num_sent = 0
    while True:
        ((ids,),) = request.sampler.results(decoding, request, stop_ids)
        yield from ids[num_sent:]
        num_sent = len(ids)
        if num_sent < decoding.count or decoding.is_done:
            return
        decoding.advance(1)
