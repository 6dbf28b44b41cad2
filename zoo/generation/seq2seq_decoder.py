"""Cached decoding of an encoder-decoder: each source is read once, then one step per token.

Sources of a batch have different lengths; a mask hides what pads them, so that a row computes what
it would compute alone. All rows of a batch write their targets in step.
"""

from functools import partial

import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.generation import beam as beams
from zoo.generation.decoder import (
    BEAM_BUCKETS,
    CACHE_BUCKETS,
    PROMPT_BUCKETS,
    Decoding,
    bucket,
    bucket_sizes,
    is_unfinished,
    take_token,
)


class Seq2SeqDecoder:
    """Compiled decoding functions of one model, kept for all that was asked of it.

    Args:
        model: a task with a `backbone` that has `encode`, `project_context`, `make_cache`,
            `decode` and `logits`.
    """

    def __init__(self, model):
        self.model = model
        self.functions = {}

    def start(self, sources, start_id, max_new_tokens, sampler, noise, end_ids, copies=1):
        """Read sources, of which targets are to be drawn or chosen greedily.

        Args:
            sources: a list of lists of token ids, none of them empty.
            start_id: int, the token that targets start from.
            max_new_tokens: int, at least 1.
            sampler: a `Sampler`.
            noise: float32 `(len(sources) * copies, max_new_tokens)`.
            end_ids: a list of token ids that end a target.
            copies: int, targets for each source.

        Returns:
            A `Decoding` with `copies` rows for each source, without tokens yet.
        """
        length = self._target_length(max_new_tokens)
        context = self._read(sources)
        noise = np.pad(noise, ((0, 0), (0, length - noise.shape[1])))
        constants = {
            **context,
            "numbers": ops.convert_to_tensor(sampler.numbers),
            "noise": ops.convert_to_tensor(noise, dtype="float32"),
            # -1 is no token: it keeps the array from being empty.
            "stop_ids": ops.convert_to_tensor([-1, *end_ids], dtype="int32"),
        }
        num_rows = len(sources) * copies
        num_seen = self.model.backbone.vocab_size if sampler.is_penalised else 1
        state = {
            **self._make_state(context, num_rows, length, copies),
            "token": ops.full((num_rows,), start_id, dtype="int32"),
            "tokens": ops.zeros((num_rows, length), "int32"),
            "finished": ops.zeros((num_rows,), "bool"),
            "seen": ops.zeros((num_rows, num_seen), "bool"),
            "count": ops.zeros((), "int32"),
        }
        advance = self._function("sample", sampler.kind, self._make_sampling_loop)
        return Decoding(state, advance, constants, max_new_tokens)

    def search(self, sources, start_id, max_new_tokens, beam, num_return, end_ids):
        """Find the best targets of sources by beam search.

        Args:
            sources, start_id, max_new_tokens, end_ids: those of `start`.
            beam: a `Beam`.
            num_return: int, at most the beam's width.

        Returns:
            For each source a list of `num_return` pairs, the best first: the token ids, the end
            token among them if it was reached, and the score.
        """
        beam.check(self.model.backbone.vocab_size, num_return)
        context = self._read(sources)
        constants = {
            **context,
            **beams.make_constants(beam, num_return, max_new_tokens, end_ids),
        }
        num_rows = len(sources) * beam.width
        lengths = bucket_sizes(max_new_tokens, BEAM_BUCKETS, self.model.backbone.max_length)
        state = {
            **self._make_state(context, num_rows, lengths[0], beam.width),
            **beams.begin(len(sources), beam.width, lengths[-1]),
            "token": ops.full((num_rows,), start_id, dtype="int32"),
        }
        loop = self._function("search", None, self._make_search_loop)
        make_cache = partial(self.model.backbone.make_cache, context["context"], copies=beam.width)
        state = beams.run(loop, state, constants, make_cache, lengths, 0)
        return beams.best(state, beam, num_return, max_new_tokens)

    def _target_length(self, max_new_tokens):
        return bucket(max_new_tokens, CACHE_BUCKETS, self.model.backbone.max_length)

    def _read(self, sources):
        """What the decoder reads of sources, a row for each: all of its targets share it."""
        lengths = np.array([len(source) for source in sources])
        length = bucket(lengths.max(), PROMPT_BUCKETS, self.model.backbone.max_length)
        token_ids = np.zeros((len(sources), length), "int32")
        for row, source in zip(token_ids, sources, strict=True):
            row[: len(source)] = source
        padding_mask = np.arange(length) < lengths[:, None]
        read = self._function("read", None, self._make_read)
        return read(ops.convert_to_tensor(token_ids), ops.convert_to_tensor(padding_mask))

    def _make_read(self, _):
        backbone = self.model.backbone

        def read(token_ids, padding_mask):
            memory = backbone.encode(token_ids, padding_mask)
            context = tree.map_structure(backend.in_order, backbone.project_context(memory))
            return {"context": context, "padding_mask": padding_mask}

        return backend.compile_function(self.model, read)

    def _make_state(self, context, num_rows, length, copies):
        return {
            "cache": self.model.backbone.make_cache(context["context"], length, copies),
            "position": ops.zeros((num_rows,), "int32"),
        }

    def _step(self, state, constants):
        """Logits of each row's next token, and the state with the present one in its cache."""
        backbone = self.model.backbone
        hidden, cache = backbone.decode(
            state["token"][:, None],
            state["cache"],
            state["position"],
            constants["context"],
            constants["padding_mask"],
        )
        state = {**state, "cache": cache, "position": state["position"] + 1}
        return backbone.logits(hidden)[:, 0], state

    def _make_sampling_loop(self, kind):
        def step(state, constants, until):
            logits, state = self._step(state, constants)
            return take_token(state, logits, constants, kind)

        return backend.compile_loop(self.model, is_unfinished, step)

    def _make_search_loop(self, _):
        def step(state, constants, until):
            logits, state = self._step(state, constants)
            return beams.extend(state, logits, constants)

        return backend.compile_loop(self.model, beams.is_unfinished, step)

    def _function(self, name, kind, make):
        """One compiled function for each name and kind; it compiles for each set of shapes."""
        if (name, kind) not in self.functions:
            self.functions[name, kind] = make(kind)
        return self.functions[name, kind]
