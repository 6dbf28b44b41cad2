"""Cached decoding: what there is to read is read once, then one step per token."""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.backends.buckets import bucket
from zoo.generation import speculation
from zoo.generation.asking import vocabulary_of
from zoo.generation.decoding import Decoding
from zoo.generation.readers import CACHE_BUCKETS, PromptReader, SourceReader


class Start(NamedTuple):
    """What is known when a prompt was read.

    Attributes:
        state: nested tensors, a first token among them.
        constants: nested tensors, what every step reads.
        kind: a `Drawing` or `Searching`.
        size: int, positions of the cache.
    """

    state: Any
    constants: Any
    kind: Any
    size: int


class Decoder:
    """Compiled decoding functions of one model.

    Args:
        model: a task. Its `backbone` has `logits` and either `make_cache` and `call_with_cache`,
            to continue prompts, or `encode`, `project_context`, `make_cache` and `decode`, to
            write the targets of sources.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        reads_sources = hasattr(model.backbone, "encode")
        self.reader = (SourceReader if reads_sources else PromptReader)(model.backbone)
        self.begin_compiled = backend.compile_function(model, self.begin)
        self.start_loop = backend.compile_loop(model, self.step)

    @functools.cached_property
    def start_verifying(self):
        """As `start_loop`, for steps that read guesses."""
        return backend.compile_loop(self.model, functools.partial(speculation.verify, self))

    @functools.cached_property
    def start_drafting(self):
        """As `start_loop`, for the first of a draft's steps."""
        return backend.compile_loop(self.model, functools.partial(speculation.draft_first, self))

    @property
    def num_choices(self):
        """How many tokens may be chosen: those that the tokenizer can spell."""
        tokenizer, vocab_size = self.model.tokenizer, self.model.backbone.vocab_size
        return vocab_size if tokenizer is None else min(vocab_size, tokenizer.vocab_size)

    def start(self, rows, request, seeds):
        """Read rows and choose the first new token of each.

        Args:
            rows: a list of lists of token ids, none of them empty.
            request: a `Request`.
            seeds: two lists, a seed and a number for each row, from which its draws are made.

        Returns:
            A `Decoding` that holds one new token for each continuation.
        """
        sampler, max_new_tokens = request.sampler, request.max_new_tokens
        sampler.check(self.num_choices, request.num_return)
        lengths = np.array([len(row) for row in rows], "int32")
        token_ids = np.zeros((len(rows), self.reader.prompt_length(lengths.max())), "int32")
        for padded, row in zip(token_ids, rows, strict=True):
            padded[: len(row)] = row
        room = bucket(max_new_tokens, CACHE_BUCKETS, math.inf)
        processing, vocabulary = request.processing, vocabulary_of(self.model)
        constants = tree.map_structure(
            lambda value: ops.convert_to_tensor(value, dtype=value.dtype),
            {
                **sampler.constants(request, seeds, room),
                **special_constants(self.model.special_tokens, self.num_choices),
                "processors": [p.constants(vocabulary) for p in processing.processors],
            },
        )
        asked = {"processing": processing, "has_scores": request.return_scores}
        kind = dataclasses.replace(sampler.kind, **asked)
        read = self.reader.num_read(int(lengths.max()), self.model.special_tokens)
        guesses = 0 if request.draft is None else speculation.GUESSES
        sizes = self.reader.cache_sizes(read, max_new_tokens + guesses, sampler.cache_grows)
        static = {"kind": kind, "copies": sampler.copies(request.num_return)}
        prompts = ops.convert_to_tensor(token_ids), ops.convert_to_tensor(lengths)
        state, context = self.begin_compiled(
            *prompts, constants, length=sizes[0], room=room, **static
        )
        constants = {**constants, "context": context}
        if request.draft is not None:
            start = Start(state, constants, kind, sizes[0])
            guesser = speculation.look_up
            if request.draft != "prompt":
                guesser = speculation.DraftModel(request.draft, *prompts, start, room)
            return speculation.Speculating(self, rows[0], start, request, guesser)
        loop = self.start_loop()

        def advance(state, num_steps, constants):
            return loop(state, num_steps, constants, kind=kind)

        def grow(cache, size, constants, num_texts):
            shape = num_texts, size, constants["context"], static["copies"]
            return tree.map_structure(put_into, self.reader.empty_cache(*shape), cache)

        capacities = {size: size - read for size in sizes}
        return Decoding(state, constants, advance, grow, capacities, request, len(rows))

    def begin(self, token_ids, lengths, constants, kind, copies, length, room):
        """The state with a first token, and what all later steps read.

        Args:
            token_ids: int32 `(batch, longest)`, padded on the right.
            lengths: int32 `(batch,)`.
            constants: those of a sampler, and `special_constants`.
            kind: a `Drawing` or `Searching`.
            copies: int, continuations of each row that are carried.
            length: int, tokens that caches hold.
            room: int, new tokens that there is room for.
        """
        logits, reading, context = self.reader.begin(
            token_ids, lengths, constants, length, copies, kind.keeps_hidden
        )
        prompts = (token_ids, lengths) if self.reader.shares_cache else None
        state = kind.begin(ops.shape(token_ids)[0], copies, room, prompts) | reading
        return kind.first(state, self.choices(logits, constants), constants), context

    def step(self, state, constants, kind):
        """The state that is a token further."""
        logits, state = self.reader.step(state, constants["context"])
        return kind.take(state, self.choices(logits, constants), constants)

    def choices(self, logits, constants):
        """The logits of what may be chosen, `(rows, num_choices)`."""
        logits = logits[:, : self.num_choices]
        if "allowed" in constants:
            logits = backend.hide(logits, constants["allowed"])
        return logits


def special_constants(special_tokens, num_choices):
    """What a decoding needs to know of special tokens."""
    constants = {
        # -1 is no token: it keeps the array from being empty.
        "stop_ids": np.array([-1, *special_tokens.stop], "int32"),
        "start_ids": np.array(special_tokens.target_prefix or [0], "int32"),
    }
    if special_tokens.never:
        constants["allowed"] = ~np.isin(np.arange(num_choices), special_tokens.never)
    return constants


def put_into(empty, tensor):
    """An empty tensor whose start is that of a smaller one."""
    if empty.shape == tensor.shape:
        return tensor
    return ops.slice_update(empty, (0,) * len(empty.shape), tensor)
