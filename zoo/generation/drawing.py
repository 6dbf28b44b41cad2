"""How the next token is chosen from its logits, drawn or the likeliest."""

import dataclasses
from typing import Any

from keras import ops

from zoo.generation.past import NOTHING, Processing

NEVER = -1e29  # above what is hidden or forbidden, below every logit
TINY = 1e-37
EQUAL = 1e-6  # sums of probabilities that are closer than this are the same but for rounding
BROKEN = -1  # noted in a token's place where logits were not numbers
STUCK = -2  # and where processors forbid every token
BROKEN_RULE = (
    "The model's logits are not numbers (NaN), so no token can be chosen: its weights hold NaN or "
    "infinity, or its dtype is too small for them."
)
STUCK_RULE = (
    "No token can be chosen, since what is asked of the text (bans, min_new_tokens, choices, regex "
    "or a processor) forbids every one. Ask for less at once."
)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The computation of a `zoo.generation.Sampler`: its numbers are arguments.

    Row `i * copies + j` of a batch is continuation j of text i.
    """

    is_greedy: bool
    is_filtered: bool
    is_typical: bool = False
    processing: Processing = NOTHING
    has_scores: bool = False

    keeps_hidden = False

    def begin(self, batch_size, copies, room, prompts):
        """The state before the first token.

        Args:
            batch_size, copies: ints.
            room: int, tokens that there is room for.
            prompts: `(token_ids, lengths)`, which processors read; or None.
        """
        num_rows = batch_size * copies
        scores = {
            name: ops.zeros((num_rows, room), "float32")
            for name in ("log_probs", "scores")
            if self.has_scores
        }
        return {
            "token": ops.zeros((num_rows,), "int32"),
            "tokens": ops.zeros((num_rows, room), "int32"),
            "done": ops.zeros((num_rows,), "bool"),
            "over": ops.zeros((), "bool"),
            "count": ops.zeros((), "int32"),
            **scores,
            **self.processing.begin(num_rows, copies, room, prompts),
        }

    def first(self, state, logits, constants):
        return self.take(state, logits, constants)

    def take(self, state, logits, constants):
        """Choose the next token of every row and note it."""
        count = state["count"]
        logits = ops.cast(logits, "float32")
        processed = self.processing.apply(logits, state, constants)
        uniform = ops.take(constants["noise"], count, axis=1)
        token, score = self.choose(processed, uniform, constants["numbers"])
        is_broken = ops.isnan(ops.sum(logits, axis=-1))
        noted = ops.where(is_broken, BROKEN, token)
        if self.processing.processors:
            is_stuck = ops.max(processed, axis=-1) <= NEVER
            noted = ops.where(is_stuck & ~is_broken & ~state["done"], STUCK, noted)
        is_next = ops.arange(ops.shape(state["tokens"])[1], dtype="int32") == count
        is_stop = ops.any(token[:, None] == constants["stop_ids"], axis=1)
        done = state["done"] | is_stop | (noted < 0)
        if self.has_scores:
            state = {
                **state,
                "log_probs": ops.where(
                    is_next, log_p_of(logits, token)[:, None], state["log_probs"]
                ),
                "scores": ops.where(is_next, score[:, None], state["scores"]),
            }
        return {
            **state,
            "token": token,
            "tokens": ops.where(is_next, noted[:, None], state["tokens"]),
            "done": done,
            "over": ops.all(done),
            "count": count + 1,
            **self.processing.advance(state, token, constants),
        }

    def choose(self, logits, uniform, numbers):
        return choose_tokens(logits, uniform, numbers, self)


def choose_tokens(logits: Any, uniform: Any, numbers: Any, kind: Any) -> Any:
    """Choose one token for each row.

    Args:
        logits: `(batch, vocab_size)`.
        uniform: float32 `(batch,)` in [0, 1), the chance that decides; not read when greedy.
        numbers, kind: those of a `Sampler`.

    Returns:
        int32 `(batch,)`, the tokens, and float32 `(batch,)`, their log-probabilities in what they
        were chosen from.
    """
    logits = ops.cast(logits, "float32")
    if kind.is_greedy:
        token = ops.cast(ops.argmax(logits, axis=-1), "int32")
        return token, log_p_of(logits, token)
    probabilities = ops.softmax(logits / numbers[0], axis=-1)
    if not kind.is_filtered:
        token = _draw(probabilities, uniform)
        return token, _log_share(probabilities, token)
    ranked_ids = ops.argsort(-probabilities, axis=-1)
    ranked = ops.take_along_axis(probabilities, ranked_ids, axis=-1)
    kept = ops.where(kept_ranks(ranked, numbers, kind), ranked, 0.0)
    rank_drawn = _draw(kept, uniform)
    token = ops.take_along_axis(ranked_ids, rank_drawn[:, None], axis=-1)[:, 0]
    return ops.cast(token, "int32"), _log_share(kept, rank_drawn)


def kept_ranks(ranked, numbers, kind):
    """Bool `(batch, vocab_size)`: which ranks the filters keep, all judging the same distribution.

    Args:
        ranked: float32 `(batch, vocab_size)`, probabilities, the largest first.
        numbers, kind: those of a `Sampler`.
    """
    top_k, top_p, min_p, typical_p, eta = (numbers[i] for i in range(1, 6))
    rank = ops.arange(ranked.shape[-1], dtype="float32")
    reached_before = ops.cumsum(ranked, axis=-1) - ranked
    # Until they reach p, and not one more where they reach it exactly.
    is_needed = (reached_before < top_p - EQUAL) | (top_p >= 1)
    surprise = ops.where(ranked > 0, -ops.log(ops.maximum(ranked, TINY)), 0.0)
    entropy = ops.sum(ranked * surprise, axis=-1, keepdims=True)
    least = ops.minimum(eta, ops.sqrt(eta) * ops.exp(-entropy))
    kept = (rank < top_k) & is_needed & (ranked >= min_p * ranked[:, :1]) & (ranked >= least)
    kept = kept | (rank == 0)
    if kind.is_typical:
        distance = ops.where(ranked > 0, ops.abs(surprise - entropy), float("inf"))
        is_typical = _typical(ranked, distance, typical_p)
        has_both = ops.any(kept & is_typical, axis=-1, keepdims=True)
        kept = ops.where(has_both, kept & is_typical, rank == 0)
    return kept


def _typical(probabilities, distance, mass):
    """Those nearest to the entropy that together reach a mass."""
    order = ops.argsort(distance, axis=-1)
    reached = ops.cumsum(ops.take_along_axis(probabilities, order, axis=-1), axis=-1)
    last = ops.sum(ops.cast(reached < mass - EQUAL, "int32"), axis=-1, keepdims=True)
    last = ops.minimum(last, probabilities.shape[-1] - 1)
    place = ops.take_along_axis(order, last, axis=-1)
    return (distance <= ops.take_along_axis(distance, place, axis=-1)) | (mass >= 1)


def log_p_of(logits, token):
    """float32 `(batch,)`: `log p` of a token of each row."""
    chosen = ops.take_along_axis(logits, token[:, None], axis=-1)[:, 0]
    return chosen - ops.logsumexp(logits, axis=-1)


def _log_share(weights, index):
    chosen = ops.take_along_axis(weights, index[:, None], axis=-1)[:, 0]
    return ops.log(chosen / ops.sum(weights, axis=-1))


def _draw(weights, uniform):
    """The index at which the running sum of `weights` passes `uniform` of their total."""
    running = ops.cumsum(weights, axis=-1)
    index = ops.sum(ops.cast(running <= uniform[:, None] * running[:, -1:], "int32"), axis=-1)
    # Rounding can carry the last step past everything that has weight.
    last = weights.shape[-1] - 1 - ops.argmax(ops.flip(weights > 0, axis=-1), axis=-1)
    return ops.minimum(index, ops.cast(last, "int32"))


def drawn(tokens, copies, stop_ids):
    """The ids of each text's continuations, up to the one that ended each.

    Args:
        tokens: int32 array `(batch * copies, count)`.
        copies: int.
        stop_ids: ids that end a text.

    Raises:
        ValueError: if logits were not numbers, or no token was allowed.
    """
    rows = []
    for row in tokens.tolist():
        end = next((i for i, token in enumerate(row) if token in stop_ids), len(row))
        rows.append(row[:end])
        raise_where(BROKEN in row[:end], STUCK in row[:end])
    return [rows[i : i + copies] for i in range(0, len(rows), copies)]


def raise_where(is_broken, is_stuck=False):
    """Raise ValueError where there was no token to choose."""
    if is_broken:
        raise ValueError(f"{BROKEN_RULE} Load other weights, or another dtype.")
    if is_stuck:
        raise ValueError(STUCK_RULE)
