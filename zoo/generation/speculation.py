"""Speculative decoding: several tokens are guessed, and the model reads all guesses at once.

Leviathan et al., 2023, https://arxiv.org/abs/2211.17192; from n-grams of the text so far: Saxena,
2023, "Prompt lookup decoding". The chance that decides a token is a function of its place (see
`zoo.generation.noise`), so what the model would choose at each place is known from one reading. A
guess stands while it is that: the text is the very one that is written without guesses.
"""

import numpy as np
from keras import ops, tree

from zoo.generation.decoding import Decoding

GUESSES = 5  # tokens that are guessed at once
LONGEST = 3  # tokens of an n-gram that is looked up


class Speculating(Decoding):
    """A text on its way, several tokens at a time.

    Args:
        decoder: the `Decoder` of the model.
        row: a list of ids, the prompt.
        start: a `Start`.
        request: a `Request`.
        guesser: `guess(ids, state) -> list of ids`.
    """

    def __init__(self, decoder, row, start, request, guesser):
        self._row, self._start, self._guesser = row, start, guesser
        self._loop = decoder.start_verifying()
        self.num_read = 0  # how often the model read
        super().__init__(start.state, start.constants, None, None, {}, request)

    def advance(self, num_steps):
        """Choose at least `num_steps` more tokens, fewer once the text is finished."""
        until = min(self.count + num_steps, self._request.max_new_tokens)
        while self.count < until and not self.is_over:
            ids = self._row + self.tokens[0].tolist()
            fits = len(ids) + GUESSES <= self._start.size
            guesses = self._guesser(ids, self.state)[:GUESSES] if fits else []
            width = GUESSES if guesses else 0  # two shapes are compiled
            padded = np.zeros((1, width), "int32")
            padded[0, : len(guesses)] = guesses
            numbers = np.array([len(guesses), self._request.max_new_tokens], "int32")
            arguments = ops.convert_to_tensor(padded), ops.convert_to_tensor(numbers)
            kind = self._start.kind
            self._take(self._loop(self.state, 1, *arguments, self._start.constants, kind=kind))
            self.num_read += 1


def verify(decoder, state, guesses, numbers, constants, kind):
    """The state after as many guesses as stand, and the token after them.

    Args:
        decoder: a `Decoder`.
        state: of one text.
        guesses: int32 `(1, width)`.
        numbers: int32 `(2,)`: how many guesses there are, and the most new tokens.
        constants, kind: those of a step.
    """
    token_ids = ops.concatenate([state["token"][:, None], guesses], axis=1)
    hidden, cache = decoder.model.backbone.call_with_cache(
        token_ids, state["cache"], state["position"]
    )
    logits = decoder.model.backbone.logits(hidden)
    apart = ("cache", "position")
    first, small = state["count"], {n: x for n, x in state.items() if n not in apart}
    goes_on = ops.ones((), "bool")
    for place in range(guesses.shape[1] + 1):
        chosen = kind.take(small, decoder.choices(logits[:, place], constants), constants)
        small = tree.map_structure(
            lambda new, old, goes_on=goes_on: ops.where(goes_on, new, old), chosen, small
        )
        if place < guesses.shape[1]:
            stands = (chosen["token"][0] == guesses[0, place]) & (place < numbers[0])
            goes_on = goes_on & stands & ~small["over"] & (small["count"] < numbers[1])
    # What was written beyond the last guess that stands is hidden, until it is written over.
    return {**small, "cache": cache, "position": state["position"] + small["count"] - first}


def look_up(ids, state):
    """What followed the last tokens of a text where they stood before, the longest run of them."""
    text = np.array(ids)
    for size in range(min(LONGEST, len(ids) - 1), 0, -1):
        windows = np.lib.stride_tricks.sliding_window_view(text[:-1], size)
        found = np.flatnonzero((windows == text[-size:]).all(axis=1))
        if len(found):
            return ids[found[-1] + size :][:GUESSES]
    return []


class DraftModel:
    """Guesses by a smaller model of the same vocabulary, which keeps a cache of its own.

    Args:
        model: a `zoo.CausalLM`.
        token_ids, lengths: the prompt, as tensors.
        start: a `Start`, the larger model's.
        room: int, new tokens that there is room for.
    """

    def __init__(self, model, token_ids, lengths, start, room):
        decoder = model.decoder
        self._start = start
        self._size = min(start.size, model.backbone.max_length)
        self._fits = token_ids.shape[1] <= self._size
        if self._fits:
            state, _ = decoder.begin_compiled(
                token_ids,
                lengths,
                start.constants,
                length=self._size,
                room=room,
                kind=start.kind,
                copies=1,
            )
            self._cache = state["cache"]
        self._first, self._loop = decoder.start_drafting(), decoder.start_loop()

    def __call__(self, ids, state):
        if not self._fits or len(ids) + GUESSES > self._size:
            return []
        # A compiled loop uses up the state that it is given.
        small = {n: tree.map_structure(ops.copy, x) for n, x in state.items() if n != "cache"}
        last = ops.convert_to_tensor(np.array([ids[-2:]], "int32"))
        constants, kind = self._start.constants, self._start.kind
        first = int(small["count"])
        state = self._first({**small, "cache": self._cache}, 1, last, constants, kind=kind)
        state = self._loop(state, GUESSES - 1, constants, kind=kind)
        self._cache = state["cache"]
        return ops.convert_to_numpy(state["tokens"])[0, first : int(state["count"])].tolist()


def draft_first(decoder, state, last, constants, kind):
    """A step that reads the last two tokens: of those that stood, it may have missed the last."""
    backbone = decoder.model.backbone
    hidden, cache = backbone.call_with_cache(last, state["cache"], state["position"] - 1)
    logits = backbone.logits(hidden[:, -1:])[:, 0]
    state = {**state, "cache": cache, "position": state["position"] + 1}
    return kind.take(state, decoder.choices(logits, constants), constants)


def check_draft(draft, task, sampler, num_return):
    """Raise TypeError or ValueError unless a draft can guess for a task."""
    if sampler.copies(1) > 1 or num_return > 1 or sampler.kind.keeps_hidden:
        raise ValueError(
            "draft speeds up one text at a time: leave out num_return, and use another sampler "
            f"than a beam or a contrastive search; got num_return={num_return} and {sampler!r}."
        )
    if task.backbone.is_recurrent or getattr(draft, "backbone", task.backbone).is_recurrent:
        raise ValueError(
            "draft needs models that can take back what they have read; a recurrent state cannot."
        )
    if isinstance(draft, str):
        if draft != "prompt":
            raise ValueError(f"draft must be 'prompt' or a smaller zoo.CausalLM; got {draft!r}.")
        return
    if type(draft) is not type(task):
        raise TypeError(f"draft must be 'prompt' or a smaller zoo.CausalLM; got {draft!r}.")
    same = draft.tokenizer == task.tokenizer
    if not same or draft.decoder.num_choices != task.decoder.num_choices:
        raise ValueError(
            "A draft must have the vocabulary of the model that it guesses for, "
            f"{task.decoder.num_choices} tokens of the same tokenizer; its own has "
            f"{draft.decoder.num_choices}."
        )
