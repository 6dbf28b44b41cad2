"""Beam search for the continuations of prompts: each is read once, for all of its hypotheses."""

from functools import partial

import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.generation import beam as beams
from zoo.generation.decoder import (
    BEAM_BUCKETS,
    PROMPT_BUCKETS,
    bucket,
    bucket_sizes,
    context_length,
    read_prompts,
)


def search(model, prompts, max_new_tokens, beam, num_return, end_ids):
    """Find the best continuations of prompts.

    Args:
        model: a task such as `zoo.CausalLM`, with a `Decoder` that keeps what is compiled.
        prompts: a list of lists of token ids, none of them empty.
        max_new_tokens: int, at least 1.
        beam: a `Beam`.
        num_return: int, at most the beam's width.
        end_ids: a list of token ids that end a continuation.

    Returns:
        For each prompt a list of `num_return` pairs, the best first: the new token ids, the end
        token among them if it was reached, and the score.
    """
    beam.check(model.backbone.vocab_size, num_return)
    most = context_length(model.backbone)
    lengths = np.array([len(prompt) for prompt in prompts], "int32")
    token_ids = np.zeros((len(prompts), bucket(lengths.max(), PROMPT_BUCKETS, most)), "int32")
    for row, prompt in zip(token_ids, prompts, strict=True):
        row[: len(prompt)] = prompt
    sizes = bucket_sizes(lengths.max() + max_new_tokens, BEAM_BUCKETS, most)
    sizes = [size for size in sizes if size > lengths.max()]
    functions, key = model.decoder.functions, ("beam", beam.width, sizes[0], sizes[-1])
    if key not in functions:
        functions[key] = compile_search(model, beam.width, sizes[0], sizes[-1])
    read, loop = functions[key]
    constants = beams.make_constants(beam, num_return, max_new_tokens, end_ids)
    state = read(ops.convert_to_tensor(token_ids), ops.convert_to_tensor(lengths), constants)
    num_rows = len(prompts) * beam.width
    make_cache = partial(model.backbone.make_cache, num_rows)
    state = beams.run(loop, state, constants, make_cache, sizes, lengths.max())
    return beams.best(state, beam, num_return, max_new_tokens)


def compile_search(model, width, cache_length, room):
    """Two functions: from prompts to the state with a first token, and all steps after that."""
    backbone = model.backbone

    def read(token_ids, lengths, constants):
        cache = backbone.make_cache(token_ids.shape[0], cache_length)
        hidden, cache = read_prompts(backbone, token_ids, lengths, cache)
        last = ops.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)
        state = {
            **beams.begin(token_ids.shape[0], width, room),
            "cache": tree.map_structure(lambda x: ops.repeat(x, width, axis=0), cache),
            "position": ops.repeat(lengths, width, axis=0),
        }
        logits = ops.repeat(backbone.logits(last)[:, 0], width, axis=0)
        return beams.extend(state, logits, constants)

    def step(state, constants, until):
        hidden, cache = backbone.call_with_cache(
            state["token"][:, None], state["cache"], state["position"]
        )
        state = {**state, "cache": cache, "position": state["position"] + 1}
        return beams.extend(state, backbone.logits(hidden)[:, 0], constants)

    return (
        backend.compile_function(model, read),
        backend.compile_loop(model, beams.is_unfinished, step),
    )
