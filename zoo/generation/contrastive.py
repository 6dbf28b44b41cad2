"""Contrastive search: the likeliest tokens, less so if the text would repeat what it says.

Su et al., 2022, https://arxiv.org/abs/2202.06417.

    score(v) = (1 - alpha) p(v | text) - alpha max_j cos(h_v, h_j)

for v among the k likeliest next tokens, with h_v the hidden state of the model that has read v, and
h_j those of the text so far. All k are read side by side, and the text goes on with the best.
"""

import dataclasses

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.generation.checks import check_number, check_whole
from zoo.generation.drawing import BROKEN, NEVER, STUCK, drawn
from zoo.generation.past import NOTHING, Processing
from zoo.generation.scores import scored

HIDDEN = -1e30  # below every cosine


@dataclasses.dataclass(frozen=True)
class Contrasting:
    """The computation of a `zoo.generation.Contrastive`: its alpha is an argument.

    Row `i * width + j` of a model's batch reads candidate j of text i.
    """

    width: int
    processing: Processing = NOTHING
    has_scores: bool = False

    keeps_hidden = True

    def begin(self, batch_size, copies, room, prompts):
        """The state before the first token; see `Drawing.begin`. `copies` are the width."""
        names = ("log_probs", "scores") if self.has_scores else ()
        return {
            "tokens": ops.zeros((batch_size, room), "int32"),
            "done": ops.zeros((batch_size,), "bool"),
            "over": ops.zeros((), "bool"),
            "count": ops.zeros((), "int32"),
            **{name: ops.zeros((batch_size, room), "float32") for name in names},
            **self.processing.begin(batch_size, 1, room, prompts),
        }

    def first(self, state, logits, constants):
        """The state with the first candidates; no token is chosen yet."""
        room, given = ops.shape(state["tokens"])[1], state["hidden"][:: self.width]
        given = unit(given)  # (batch, what was read, hidden_dim)
        is_real = state["given"][:: self.width]
        empty = ops.zeros((ops.shape(given)[0], room, given.shape[-1]), "float32")
        state = {
            **state,
            "hidden": state["hidden"][:, 0],
            "seen": ops.concatenate([given, empty], axis=1),
            "is_seen": ops.concatenate([is_real, ops.zeros(ops.shape(empty)[:2], "bool")], axis=1),
        }
        del state["given"]
        return self._propose(state, logits[:: self.width], constants)

    def take(self, state, logits, constants):
        """Go on with the best candidate of each text, and find those that may follow it."""
        count, (batch_size, room) = state["count"], ops.shape(state["tokens"])
        chance, penalty = state["chance"], self._likeness(state)
        score = (1 - constants["alpha"]) * chance - constants["alpha"] * penalty
        best = ops.cast(ops.argmax(score, axis=-1), "int32")
        rows = best + self.width * ops.arange(batch_size, dtype="int32")
        token = ops.take(state["token"], rows, axis=0)
        noted = ops.where(state["fault"] < 0, state["fault"], token)
        is_next = ops.arange(room, dtype="int32") == count
        is_stop = ops.any(token[:, None] == constants["stop_ids"], axis=1)
        done = state["done"] | is_stop | (noted < 0)
        num_seen = ops.shape(state["seen"])[1]
        is_read = ops.arange(num_seen, dtype="int32") == num_seen - room + count
        hidden = ops.take(unit(state["hidden"]), rows, axis=0)
        state = {
            **state,
            "cache": backend.reorder_rows(state["cache"], ops.repeat(rows, self.width, axis=0)),
            "tokens": ops.where(is_next, noted[:, None], state["tokens"]),
            "seen": ops.where(is_read[:, None], hidden[:, None], state["seen"]),
            "is_seen": state["is_seen"] | is_read,
            "done": done,
            "over": ops.all(done),
            "count": count + 1,
            **self._noted(state, best, is_next),
            **self.processing.advance(state, token, constants),
        }
        return self._propose(state, ops.take(logits, rows, axis=0), constants)

    def _likeness(self, state):
        """`(batch, width)`: the largest cosine of each candidate with what was read before."""
        batch_size = ops.shape(state["tokens"])[0]
        candidates = unit(state["hidden"])
        candidates = ops.reshape(candidates, (batch_size, self.width, candidates.shape[-1]))
        cosines = ops.matmul(candidates, ops.transpose(state["seen"], (0, 2, 1)))
        return ops.max(ops.where(state["is_seen"][:, None], cosines, HIDDEN), axis=-1)

    def _noted(self, state, best, is_next):
        if not self.has_scores:
            return {}
        new = {"log_probs": state["own"], "scores": ops.log(state["chance"])}
        return {
            name: ops.where(is_next, ops.take_along_axis(value, best[:, None], axis=1), state[name])
            for name, value in new.items()
        }

    def _propose(self, state, logits, constants):
        """The likeliest tokens that may follow, which the model reads next."""
        logits = ops.cast(logits, "float32")
        processed = self.processing.apply(logits, state, constants)
        chance, token = ops.top_k(ops.softmax(processed, axis=-1), self.width)
        token = ops.cast(token, "int32")
        is_stuck = (ops.max(processed, axis=-1) <= NEVER) & ~state["done"]
        fault = ops.where(is_stuck, STUCK, 0) if self.processing.processors else 0
        fault = ops.where(ops.isnan(ops.sum(logits, axis=-1)), BROKEN, fault)
        own = {}
        if self.has_scores:
            chosen = ops.take_along_axis(logits, token, axis=-1)
            own["own"] = chosen - ops.logsumexp(logits, axis=-1, keepdims=True)
        return {
            **state,
            "token": ops.reshape(token, (-1,)),
            "chance": chance,
            "fault": ops.cast(fault, "int32"),
            **own,
        }


def unit(hidden):
    """Vectors of length 1, float32."""
    hidden = ops.cast(hidden, "float32")
    length = ops.sqrt(ops.sum(ops.square(hidden), axis=-1, keepdims=True))
    return hidden / ops.maximum(length, 1e-12)


class Contrastive:
    """Go on with what is likely and unlike what the text says already; nothing is drawn.

    Su et al., 2022, https://arxiv.org/abs/2202.06417: see `zoo.generation.contrastive`.

    Args:
        penalty_alpha: float between 0 and 1, what likeness counts beside likelihood; at 0 it is
            greedy.
        top_k: int, at least 1: how many tokens are tried at each step.

    Raises:
        TypeError: if an argument is not a number.
        ValueError: if a number is outside its range.
    """

    def __init__(self, penalty_alpha: float = 0.6, top_k: int = 4) -> None:
        check_number("penalty_alpha", penalty_alpha, "between 0 and 1", lambda a: 0 <= a <= 1)
        check_whole("top_k", top_k)
        self.penalty_alpha = float(penalty_alpha)
        self.top_k = int(top_k)

    cache_grows = False
    processors = ()

    @property
    def kind(self):
        """What decides which computation is compiled."""
        return Contrasting(self.top_k)

    def copies(self, num_return):
        """How many candidates of a text are read side by side."""
        return self.top_k

    def check(self, num_choices, num_return):
        """Raise ValueError if there are not enough tokens, or several texts are to be returned."""
        if self.top_k > num_choices:
            raise ValueError(
                f"top_k of a contrastive search must be at most the size of the vocabulary, "
                f"{num_choices}; got {self.top_k}."
            )
        if num_return > 1:
            raise ValueError(
                f"A contrastive search finds one text, so num_return must be 1; got {num_return}. "
                "Use another sampler."
            )

    def constants(self, request, seeds, room):
        """What its computation reads, as arrays; see `zoo.generation.Decoder.start`."""
        return {"alpha": np.array(self.penalty_alpha, "float32")}

    def results(self, decoding, request, stop_ids):
        """For each text a list of one list of token ids, without what ended it."""
        return drawn(decoding.tokens, 1, stop_ids)

    def scored_results(self, decoding, request, stop_ids):
        """The same, in pairs with the `Scores` of each."""
        found = self.results(decoding, request, stop_ids)
        return scored(found, decoding.tokens, decoding.noted(), 1)

    def __repr__(self):
        return f"Contrastive(penalty_alpha={self.penalty_alpha!r}, top_k={self.top_k})"
