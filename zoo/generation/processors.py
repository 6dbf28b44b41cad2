"""What is asked of each token beside its likelihood: penalties, biases, bans and constraints.

A processor changes logits before a token is chosen. Any number may be combined; their order is
that of transformers: biases, penalties, bans and constraints, then functions of the user.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.generation.automata import Automaton
from zoo.generation.checks import check_finite, check_number, check_whole
from zoo.generation.past import EMPTY, count, marked

NEVER = -float("inf")


@dataclass(frozen=True)
class Vocabulary:
    """What a processor's numbers depend on.

    Attributes:
        size: int, how many tokens may be chosen.
        stop_ids: a tuple, those that end a text.
    """

    size: int
    stop_ids: tuple


@dataclass(frozen=True)
class Processor:
    """Changes logits. Its fields that compare decide what is compiled; the others are numbers.

    So whoever computes reads numbers from `constants`, never from a field.
    """

    order = 3

    def check(self, vocabulary):
        """Raise ValueError where the vocabulary cannot give what is asked for."""

    def constants(self, vocabulary):
        """A dict of arrays."""
        return {}

    def begin(self, num_rows):
        """What it remembers of each row, beside the ids: int32 `(rows,)`."""
        return ops.zeros((num_rows,), "int32")

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        """Logits `(rows, choices)`, float32.

        Args:
            logits: the same.
            past: a dict of `ids` int32 `(rows, capacity)`, each row's tokens so far and then -1,
                `length` and `start` int32 `(rows,)`, how many those are and how many of them the
                prompt's, and `place`, what it remembers.
            constants: as tensors.
        """
        raise NotImplementedError

    def advance(self, place, token, constants):
        """What it remembers when `token` int32 `(rows,)` is chosen."""
        return place


@dataclass(frozen=True)
class LogitBias(Processor):
    """Add numbers to the logits of tokens, or of the last token of sequences that have begun.

    Args:
        bias: `{token id or tuple of them: number}`; `-inf` forbids.
    """

    bias: dict = field(compare=False)
    length: int = 1  # of the longest sequence

    order = 0

    @classmethod
    def of(cls, bias):
        """From a dict whose keys are ids or sequences of them."""
        pairs = {}
        for key, number in bias.items():
            sequence = (key,) if isinstance(key, (int, np.integer)) else tuple(key)
            is_right = not np.isnan(number) and number < float("inf")
            check_number("A logit bias", number, "below infinity", lambda _, ok=is_right: ok)
            pairs[tuple(map(int, sequence))] = float(number)
        return cls(pairs, max(map(len, pairs)))

    def check(self, vocabulary):
        for sequence in self.bias:
            for token in sequence:
                if not 0 <= token < vocabulary.size:
                    raise ValueError(
                        "A logit bias or a bad word must be of token ids from 0 to "
                        f"{vocabulary.size - 1}; got {token}."
                    )

    def constants(self, vocabulary):
        before = np.full((len(self.bias), self.length - 1), EMPTY, "int32")
        for row, sequence in zip(before, self.bias, strict=True):
            if len(sequence) > 1:
                row[-len(sequence) + 1 :] = sequence[:-1]
        numbers = np.array(list(self.bias.values()), "float32")
        return {
            "before": before,
            "last": np.array([sequence[-1] for sequence in self.bias], "int32"),
            "numbers": np.where(np.isinf(numbers), 0, numbers),
            "is_banned": np.isinf(numbers),
        }

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        before = constants["before"]  # (sequences, length - 1)
        matches = ops.ones((ops.shape(logits)[0], ops.shape(before)[0]), "bool")
        for i in range(self.length - 1):
            place = past["length"] - (self.length - 1) + i
            token = ops.take_along_axis(past["ids"], ops.maximum(place, 0)[:, None], axis=1)
            token = ops.where(place[:, None] >= 0, token, EMPTY - 1)
            matches = matches & ((before[:, i] == EMPTY) | (token == before[:, i]))
        amount = ops.where(matches, constants["numbers"], 0.0)
        logits = logits + _by_token(amount, constants["last"], logits.shape[-1])
        banned = ops.cast(matches & constants["is_banned"], "float32")
        banned = _by_token(banned, constants["last"], logits.shape[-1])
        return ops.where(banned > 0, NEVER, logits)


def _by_token(amounts, tokens, num_choices):
    """float32 `(rows, num_choices)`, the sums of `amounts` `(rows, n)` for each token."""
    columns = ops.broadcast_to(tokens, ops.shape(amounts))
    return backend.sum_by_column(amounts, columns, num_choices)


@dataclass(frozen=True)
class RepetitionPenalty(Processor):
    """Divide positive logits of tokens that occurred, prompt included, and multiply negative ones.

    Keskar et al., 2019, https://arxiv.org/abs/1909.05858

    Args:
        penalty: float, above 0; 1 changes nothing.
    """

    penalty: float = field(compare=False)

    order = 1

    def __post_init__(self):
        rule = "above 0 and finite (1 changes nothing)"
        check_number("repetition_penalty", self.penalty, rule, lambda r: 0 < r < np.inf)

    def constants(self, vocabulary):
        return {"penalty": np.array(self.penalty, "float32")}

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        penalty = constants["penalty"]
        penalised = ops.where(logits > 0, logits / penalty, logits * penalty)
        return ops.where(marked(past["ids"], logits.shape[-1]), penalised, logits)


@dataclass(frozen=True)
class OccurrencePenalty(Processor):
    """Lower the logits of new tokens that occurred: by `presence`, and for each time `frequency`.

    Below 0 it raises them. The prompt does not count.
    """

    presence: float = field(default=0.0, compare=False)
    frequency: float = field(default=0.0, compare=False)

    order = 2

    def __post_init__(self):
        check_finite("presence_penalty", self.presence)
        check_finite("frequency_penalty", self.frequency)

    def constants(self, vocabulary):
        return {"numbers": np.array([self.presence, self.frequency], "float32")}

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        places = ops.arange(ops.shape(past["ids"])[1], dtype="int32")
        new = ops.where(places >= past["start"][:, None], past["ids"], EMPTY)
        counts = count(new, logits.shape[-1])
        numbers = constants["numbers"]
        return logits - ops.where(counts > 0, numbers[0], 0.0) - numbers[1] * counts


@dataclass(frozen=True)
class NoRepeatNGram(Processor):
    """Forbid what would complete an n-gram a second time; those of the prompt count.

    Paulus et al., 2017, https://arxiv.org/abs/1705.04304

    Args:
        size: int, tokens of an n-gram.
    """

    size: int

    def __post_init__(self):
        check_whole("no_repeat_ngram_size", self.size)

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        ids, size = past["ids"], self.size
        capacity = ops.shape(ids)[1]
        if isinstance(capacity, int) and capacity < size:
            return logits
        starts = capacity - size + 1  # of windows, which end before their last token
        repeats = ids[:, size - 1 :] >= 0
        for i in range(size - 1):
            place = past["length"] - (size - 1) + i
            token = ops.take_along_axis(ids, ops.maximum(place, 0)[:, None], axis=1)
            repeats = repeats & (ids[:, i : starts + i] == token)
        repeats = repeats & (past["length"] >= size - 1)[:, None]
        banned = ops.where(repeats, ids[:, size - 1 :], EMPTY)
        return ops.where(marked(banned, logits.shape[-1]), NEVER, logits)


@dataclass(frozen=True)
class MinNewTokens(Processor):
    """Let no text end before it has so many new tokens."""

    count: int = field(compare=False)

    def __post_init__(self):
        check_whole("min_new_tokens", self.count, least=0)

    def constants(self, vocabulary):
        return {"count": np.array(self.count, "int32"), "ends": ends(vocabulary)}

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        is_short = past["length"] - past["start"] < constants["count"]
        return ops.where(is_short[:, None] & constants["ends"], NEVER, logits)


@dataclass(frozen=True)
class ForcedEnd(Processor):
    """Let the last of so many new tokens be one that ends the text."""

    count: int = field(compare=False)

    def __post_init__(self):
        check_whole("max_new_tokens", self.count)

    def check(self, vocabulary):
        if not vocabulary.stop_ids:
            raise ValueError(
                "force_end ends a text with a stop token, but this model has none: pass "
                "special_tokens={'stop': ...} when it is made or loaded."
            )

    def constants(self, vocabulary):
        return {"count": np.array(self.count, "int32"), "ends": ends(vocabulary)}

    def __call__(self, logits, past, constants):
        is_last = past["length"] - past["start"] >= constants["count"] - 1
        forced = ops.where(constants["ends"], 0.0, NEVER)  # 0: it costs a hypothesis nothing
        return ops.where(is_last[:, None], forced, logits)


def ends(vocabulary):
    """Which tokens end a text, bool `(size,)`."""
    found = np.zeros((vocabulary.size,), bool)
    found[[i for i in vocabulary.stop_ids if i < vocabulary.size]] = True
    return found


@dataclass(frozen=True)
class Constraint(Processor):
    """Let an `Automaton` say which tokens may come next.

    A text may end where the automaton accepts it, and cannot go on where nothing may follow.
    """

    automaton: Automaton = field(compare=False)

    def check(self, vocabulary):
        if not vocabulary.stop_ids and not self.automaton.always_accepts:
            raise ValueError(
                "A constrained text ends with a stop token, but this model has none: pass "
                "special_tokens={'stop': ...} when it is made or loaded."
            )

    def constants(self, vocabulary):
        return {"table": self.automaton.table(vocabulary.size, vocabulary.stop_ids)}

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        allowed = ops.take(constants["table"], past["place"], axis=0) >= 0
        return ops.where(allowed, logits, NEVER)

    def advance(self, place, token, constants):
        following = ops.take(constants["table"], place, axis=0)
        following = ops.take_along_axis(following, token[:, None], axis=1)[:, 0]
        return ops.maximum(following, 0)  # a finished row goes on somewhere


@dataclass(frozen=True)
class Custom(Processor):
    """A function of the user, `function(ids, logits) -> logits`, in `keras.ops`.

    It is traced, as all of a decoding is, once for each function: what it closes over is fixed.

    Args:
        function: of `ids`, int32 `(rows, capacity)`, each row's tokens so far, prompt included,
            and then -1; and of `logits`, float32 `(rows, choices)`.
    """

    function: Callable

    order = 4

    def __call__(self, logits: Any, past: dict, constants: dict) -> Any:
        changed = self.function(past["ids"], logits)
        if getattr(changed, "shape", None) != logits.shape:
            raise ValueError(
                "A processor must return logits of the shape that it is given, "
                f"{tuple(logits.shape)}; got {tuple(getattr(changed, 'shape', ())) or changed!r}."
            )
        return ops.cast(changed, "float32")
