"""Cached decoding: what there is to read is read once, then one step per token.

Rows of a batch have texts of different lengths. All are aligned on the left. A causal model's rows
have a position each, and a step writes its token's keys there, over what padding left behind; a
recurrent state is that after a row's last real token; an encoder's padding is masked. So a row
computes exactly what it would compute alone.
"""

import dataclasses
import math

import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.backends.buckets import LENGTHS, bucket, bucket_sizes
from zoo.generation.asking import vocabulary_of

CACHE_BUCKETS = 64
BEAM_BUCKETS = 16  # a beam's cache is moved at each step: it starts small, and grows


class Decoder:
    """Compiled decoding functions of one model.

    Args:
        model: a task. Its `backbone` has `logits` and either `make_cache` and `call_with_cache`,
            to continue prompts, or `encode`, `project_context`, `make_cache` and `decode`, to
            write the targets of sources.
    """

    def __init__(self, model):
        self.model = model
        reads_sources = hasattr(model.backbone, "encode")
        self.reader = (SourceReader if reads_sources else PromptReader)(model.backbone)
        self._begin = backend.compile_function(model, self.begin)
        self._start_loop = backend.compile_loop(model, self.step)

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
        sizes = self.reader.cache_sizes(read, max_new_tokens, sampler.cache_grows)
        static = {"kind": kind, "copies": sampler.copies(request.num_return)}
        state, context = self._begin(
            ops.convert_to_tensor(token_ids),
            ops.convert_to_tensor(lengths),
            constants,
            length=sizes[0],
            room=room,
            **static,
        )
        constants = {**constants, "context": context}
        loop = self._start_loop()

        def advance(state, num_steps):
            return loop(state, num_steps, constants, kind=kind)

        def grow(cache, size):
            empty = self.reader.empty_cache(len(rows), size, context, static["copies"])
            return tree.map_structure(put_into, empty, cache)

        capacities = {size: size - read for size in sizes}
        return Decoding(state, advance, grow, capacities, request)

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
        logits, reading, context = self.reader.begin(token_ids, lengths, constants, length, copies)
        prompts = (token_ids, lengths) if self.reader.shares_cache else None
        state = kind.begin(ops.shape(token_ids)[0], copies, room, prompts) | reading
        return kind.take(state, self.choices(logits, constants), constants), context

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


class PromptReader:
    """Continues prompts: their keys, or the state that they lead to, stand in the cache."""

    shares_cache = True

    def __init__(self, backbone):
        self.backbone = backbone

    def prompt_length(self, longest):
        return bucket(longest, LENGTHS, context_length(self.backbone))

    def num_read(self, longest, special_tokens):
        """How many positions of a cache are filled before the first new token."""
        return longest

    def cache_sizes(self, longest, max_new_tokens, grows):
        """The sizes that a cache has one after the other."""
        if self.backbone.is_recurrent:
            return [2**30]  # a state has room for any number
        total, most = longest + max_new_tokens, self.backbone.max_length
        if not grows:
            return [bucket(total, CACHE_BUCKETS, most)]
        sizes = bucket_sizes(total, BEAM_BUCKETS, most)
        return [size for size in sizes if size > longest and size >= self.prompt_length(longest)]

    def empty_cache(self, batch_size, size, context, copies):
        return self.backbone.make_cache(batch_size * copies, size)

    def begin(self, token_ids, lengths, constants, length, copies):
        """Logits of the first tokens, the state to go on from, and what every step reads: nothing.

        Rows come `copies` times.
        """
        backbone = self.backbone
        cache, mask = backbone.make_cache(ops.shape(token_ids)[0], length), ()
        if backbone.is_recurrent:
            mask = (ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None],)
        hidden, cache = backbone.call_with_cache(token_ids, cache, 0, *mask)
        last = ops.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)
        read = backbone.logits(last)[:, 0], {"cache": cache, "position": lengths}
        if not (isinstance(copies, int) and copies == 1):
            read = tree.map_structure(lambda x: repeat_rows(x, copies), read)
        return *read, {}

    def step(self, state, context):
        """Logits `(rows, vocab_size)` of the next tokens, and the state that has read the last."""
        hidden, cache = self.backbone.call_with_cache(
            state["token"][:, None], state["cache"], state["position"]
        )
        state = {**state, "cache": cache, "position": state["position"] + 1}
        return self.backbone.logits(hidden)[:, 0], state


class SourceReader:
    """Writes the targets of sources: all targets of a source share what was read of it."""

    shares_cache = False

    def __init__(self, backbone):
        self.backbone = backbone

    def prompt_length(self, longest):
        return bucket(longest, LENGTHS, self.backbone.max_length)

    def num_read(self, longest, special_tokens):
        """How many positions of a cache are filled before the last token that is given."""
        return special_tokens.num_given

    def cache_sizes(self, read, max_new_tokens, grows):
        """The sizes that a cache has one after the other."""
        total, most = read + max_new_tokens, self.backbone.max_length
        if grows:
            return bucket_sizes(total, BEAM_BUCKETS, most)
        return [bucket(total, CACHE_BUCKETS, most)]

    def empty_cache(self, batch_size, size, context, copies):
        return self.backbone.make_cache(context["memory"], size, copies)

    def begin(self, token_ids, lengths, constants, length, copies):
        """Logits of the first tokens, the state to go on from, and what every step reads."""
        backbone, num_rows = self.backbone, ops.shape(token_ids)[0] * copies
        mask = ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None]
        memory = backbone.project_context(backbone.encode(token_ids, mask))
        memory = tree.map_structure(backend.in_order, memory)
        context = {"memory": memory, "padding_mask": mask}
        state = {
            "cache": backbone.make_cache(memory, length, copies),
            "position": ops.zeros((num_rows,), "int32"),
        }
        for place in range(constants["start_ids"].shape[0]):
            state["token"] = ops.zeros((num_rows,), "int32") + constants["start_ids"][place]
            logits, state = self.step(state, context)
        return logits, {name: state[name] for name in ("cache", "position")}, context

    def step(self, state, context):
        """Logits `(rows, vocab_size)` of the next tokens, and the state that has read the last."""
        hidden, cache = self.backbone.decode(
            state["token"][:, None],
            state["cache"],
            state["position"],
            context["memory"],
            context["padding_mask"],
        )
        state = {**state, "cache": cache, "position": state["position"] + 1}
        return self.backbone.logits(hidden)[:, 0], state


def repeat_rows(x, copies):
    """Each row `copies` times, one after the other, in memory of its own."""
    return backend.in_order(ops.repeat(x, copies, axis=0))


class Decoding:
    """A batch on its way: its state on the device, and how to go on.

    Args:
        state: nested tensors.
        advance: `(state, num_steps) -> state`.
        grow: `(cache, size) -> cache`, with room for more.
        capacities: `{size: new tokens}` that a cache of each size has room for, the smallest first.
        request: a `Request`.
    """

    def __init__(self, state, advance, grow, capacities, request):
        self._advance, self._grow = advance, grow
        self._capacities = list(capacities.items())
        self._request = request
        self._take(state)

    def _take(self, state):
        self.state = state
        self.count, self.is_over = int(state["count"]), bool(state["over"])

    @property
    def is_done(self):
        return self.is_over or self.count >= self._request.max_new_tokens

    def advance(self, num_steps):
        """Choose up to `num_steps` more tokens, fewer once every row is finished."""
        until = min(self.count + num_steps, self._request.max_new_tokens)
        while self.count < until and not self.is_over:
            if self.count >= self._capacities[0][1]:
                del self._capacities[0]
                cache = self._grow(self.state["cache"], self._capacities[0][0])
                self.state = {**self.state, "cache": cache}
            num_steps = min(until, self._capacities[0][1]) - self.count
            self._take(self._advance(self.state, num_steps))

    @property
    def tokens(self):
        """int32 array `(rows, count)`: new tokens, in finished rows with something after the end.

        A beam's is `(batch, width, count)`.
        """
        return ops.convert_to_numpy(self.state["tokens"])[..., : self.count]

    def noted(self):
        """`{name: float32 array (rows, count)}`: what is noted of each new token, if asked for."""
        names = [name for name in ("log_probs", "scores") if name in self.state]
        return {n: ops.convert_to_numpy(self.state[n])[..., : self.count] for n in names}

    def finish(self, rows):
        """Mark rows, a bool array `(rows,)`, as finished."""
        done = ops.convert_to_numpy(self.state["done"]) | rows
        self.is_over = bool(done.all())
        changed = {"done": done, "over": np.array(self.is_over)}
        self.state = self.state | {n: ops.convert_to_tensor(v) for n, v in changed.items()}


def context_length(backbone):
    """How many tokens a prompt and its continuation may have together."""
    return math.inf if backbone.is_recurrent else backbone.max_length
