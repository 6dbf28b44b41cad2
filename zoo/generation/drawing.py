"""How the next token is chosen from its logits, drawn or the likeliest."""

import dataclasses

from keras import ops

EQUAL = 1e-6  # sums of probabilities that are closer than this are the same but for rounding
BROKEN = -1  # noted in a token's place where logits were not numbers
BROKEN_RULE = (
    "The model's logits are not numbers (NaN), so no token can be chosen: its weights hold NaN or "
    "infinity, or its dtype is too small for them."
)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The computation of a `zoo.generation.Sampler`: its numbers are arguments.

    Row `i * copies + j` of a batch is continuation j of text i.
    """

    is_greedy: bool
    is_filtered: bool
    is_penalised: bool

    def begin(self, batch_size, copies, room, prompts, vocab_size):
        """The state before the first token.

        Args:
            batch_size, copies: ints.
            room: int, tokens that there is room for.
            prompts: `(token_ids, lengths)`, whose tokens a penalty counts; or None.
            vocab_size: int.
        """
        num_rows = batch_size * copies
        seen = ops.zeros((num_rows, vocab_size if self.is_penalised else 1), "bool")
        if self.is_penalised and prompts is not None:
            token_ids, lengths = prompts
            is_real = ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None]
            ids = ops.where(is_real, token_ids, token_ids[:, :1])
            seen = mark(seen, ops.repeat(ids, copies, axis=0))
        return {
            "token": ops.zeros((num_rows,), "int32"),
            "tokens": ops.zeros((num_rows, room), "int32"),
            "done": ops.zeros((num_rows,), "bool"),
            "over": ops.zeros((), "bool"),
            "seen": seen,
            "count": ops.zeros((), "int32"),
        }

    def take(self, state, logits, constants):
        """Choose the next token of every row and note it."""
        count = state["count"]
        uniform = ops.take(constants["noise"], count, axis=1)
        token = self.choose(logits, state["seen"], uniform, constants["numbers"])
        seen = mark(state["seen"], token[:, None]) if self.is_penalised else state["seen"]
        is_broken = ops.isnan(ops.sum(ops.cast(logits, "float32"), axis=-1))
        is_next = ops.arange(ops.shape(state["tokens"])[1], dtype="int32") == count
        noted = ops.where(is_broken, BROKEN, token)
        is_stop = ops.any(token[:, None] == constants["stop_ids"], axis=1)
        done = state["done"] | is_stop | is_broken
        return {
            **state,
            "token": token,
            "tokens": ops.where(is_next, noted[:, None], state["tokens"]),
            "done": done,
            "over": ops.all(done),
            "seen": seen,
            "count": count + 1,
        }

    def choose(self, logits, seen, uniform, numbers):
        return choose_tokens(logits, seen, uniform, numbers, self)


def choose_tokens(logits, seen, uniform, numbers, kind):
    """Choose one token for each row.

    Args:
        logits: `(batch, vocab_size)`.
        seen: bool `(batch, vocab_size)`, tokens that occurred; read only under a penalty.
        uniform: float32 `(batch,)` in [0, 1), the chance that decides; not read when greedy.
        numbers, kind: those of a `Sampler`.

    Returns:
        int32 `(batch,)`.
    """
    temperature, top_k, top_p, min_p, penalty = (numbers[i] for i in range(5))
    logits = ops.cast(logits, "float32")
    if kind.is_penalised:
        penalised = ops.where(logits > 0, logits / penalty, logits * penalty)
        logits = ops.where(seen[:, : logits.shape[-1]], penalised, logits)
    if kind.is_greedy:
        return ops.cast(ops.argmax(logits, axis=-1), "int32")
    probabilities = ops.softmax(logits / temperature, axis=-1)
    if not kind.is_filtered:
        return _draw(probabilities, uniform)
    ranked_ids = ops.argsort(-probabilities, axis=-1)
    ranked = ops.take_along_axis(probabilities, ranked_ids, axis=-1)
    rank = ops.arange(ranked.shape[-1], dtype="float32")
    reached_before = ops.cumsum(ranked, axis=-1) - ranked
    # Until they reach p, and not one more where they reach it exactly.
    is_needed = (reached_before < top_p - EQUAL) | (top_p >= 1)
    kept = (rank < top_k) & is_needed & (ranked >= min_p * ranked[:, :1])
    kept = kept | (rank == 0)
    rank_drawn = _draw(ops.where(kept, ranked, 0.0), uniform)
    token = ops.take_along_axis(ranked_ids, rank_drawn[:, None], axis=-1)[:, 0]
    return ops.cast(token, "int32")


def _draw(weights, uniform):
    """The index at which the running sum of `weights` passes `uniform` of their total."""
    running = ops.cumsum(weights, axis=-1)
    index = ops.sum(ops.cast(running <= uniform[:, None] * running[:, -1:], "int32"), axis=-1)
    # Rounding can carry the last step past everything that has weight.
    last = weights.shape[-1] - 1 - ops.argmax(ops.flip(weights > 0, axis=-1), axis=-1)
    return ops.minimum(index, ops.cast(last, "int32"))


def mark(seen, token_ids):
    """`seen` `(batch, vocab_size)` with the columns `token_ids` `(batch, length)` set."""
    batch_size, length = ops.shape(token_ids)
    rows = ops.repeat(ops.arange(batch_size, dtype="int32"), length)
    indices = ops.stack([rows, ops.reshape(token_ids, (-1,))], axis=-1)
    return ops.scatter_update(seen, indices, ops.ones((batch_size * length,), "bool"))


def drawn(tokens, copies, stop_ids):
    """The ids of each text's continuations, up to the one that ended each.

    Args:
        tokens: int32 array `(batch * copies, count)`.
        copies: int.
        stop_ids: ids that end a text.

    Raises:
        ValueError: if logits were not numbers.
    """
    rows = []
    for row in tokens.tolist():
        end = next((i for i, token in enumerate(row) if token in stop_ids), len(row))
        rows.append(row[:end])
        if BROKEN in row[:end]:
            raise_broken()
    return [rows[i : i + copies] for i in range(0, len(rows), copies)]


def raise_broken():
    raise ValueError(f"{BROKEN_RULE} Load other weights, or another dtype.")
