"""Masked language modelling: hide some of the tokens, predict what they were."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.objectives.base import Objective, check_generator
from zoo.ranges import RATE, SIZE, TOKEN_ID, Ids

# Of the chosen tokens, these shares are hidden and made random; the rest stay as they are, since
# no text that the model is used on later has mask tokens in it.
MASKED, RANDOM = 0.8, 0.1


class MaskTokens(Objective):
    """Choose some tokens of each row, hide most of them, and label them with what they were.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805: of the chosen tokens 80 % become
    `mask_id`, 10 % a random id that is not special, and 10 % stay. Each call draws anew, so calling
    it every epoch is the dynamic masking of Liu et al., 2019, https://arxiv.org/abs/1907.11692.

    A row has `round(rate * n)` of its `n` choosable tokens chosen, but at least 1 if there is one
    and at most `max_predictions`. Special tokens and padding are never chosen.

    Given `continues`, whole words are chosen (Cui et al., 2019, https://arxiv.org/abs/1906.08101):
    in random order, passing over those that would exceed the row's number, which may so be missed
    by a little. Where every word is too long, one of them is chosen in part, from its front.

    Args:
        mask_id: int, the id that hides a token. It counts as special.
        vocab_size: int.
        special_ids: sequence of int, the ids that are neither chosen nor put in at random.
        rate: float, the share of tokens to choose, above 0 and at most 1.
        continues: bool `(vocab_size,)`, True for ids that continue a word (in WordPiece those that
            start with `##`), or None to choose single tokens.
        max_predictions: int, or None for `ceil(rate * length)`.

    Call arguments:
        token_ids: int `(rows, length)`.
        padding_mask: bool `(rows, length)`, True for tokens.
        rng: `np.random.Generator`.

    Returns:
        `(masked_ids, positions, labels, weight)`: int32 `(rows, length)`, then int32, int32 and
        float32 `(rows, max_predictions)`. Positions ascend; unused ones have position, label and
        weight 0.

    Raises:
        ValueError: if an argument is out of its range or shape, or every id is special.
    """

    arguments = Objective.arguments | {
        "mask_id": TOKEN_ID,
        "vocab_size": SIZE,
        "special_ids": Ids(),
        "rate": RATE,
        "max_predictions": SIZE,
    }

    def __init__(
        self,
        mask_id: int,
        vocab_size: int,
        special_ids: Sequence[int] = (),
        rate: float = 0.15,
        continues: Any = None,
        max_predictions: int | None = None,
    ) -> None:
        if not rate:
            raise ValueError("rate is the share of tokens to choose, so it must be above 0; got 0.")
        self.mask_id = mask_id
        self.vocab_size = vocab_size
        self.rate = rate
        self.max_predictions = max_predictions
        self.is_special = special_table([mask_id, *special_ids], vocab_size)
        self.random_ids = np.flatnonzero(~self.is_special).astype("int32")
        self.continues = None if continues is None else checked_continues(continues, vocab_size)

    def __call__(self, token_ids: Any, padding_mask: Any, rng: np.random.Generator) -> tuple:
        check_generator(rng)
        token_ids, padding_mask = self._checked(token_ids, padding_mask)
        slots = self.max_predictions or max(1, math.ceil(self.rate * token_ids.shape[1]))
        choosable = padding_mask & ~self.is_special[token_ids]
        available = choosable.sum(axis=1)
        count = np.clip(np.rint(self.rate * available), 1, slots).astype(available.dtype)
        count = np.minimum(count, available)
        chosen = choose_words(choosable, self._word_starts(token_ids, choosable), count, rng)
        masked_ids = token_ids.copy()
        masked_ids[chosen] = self._replacements(token_ids[chosen], rng)
        return masked_ids, *in_slots(token_ids, chosen, slots)

    def _word_starts(self, token_ids, choosable):
        if self.continues is None:
            return choosable
        starts = choosable.copy()
        starts[:, 1:] &= ~(self.continues[token_ids[:, 1:]] & choosable[:, :-1])
        return starts

    def _replacements(self, originals, rng):
        draw = rng.random(len(originals))
        random_ids = self.random_ids[rng.integers(len(self.random_ids), size=len(originals))]
        kept_or_random = np.where(draw < MASKED + RANDOM, random_ids, originals)
        return np.where(draw < MASKED, self.mask_id, kept_or_random)

    def _checked(self, token_ids, padding_mask):
        token_ids, padding_mask = np.asarray(token_ids), np.asarray(padding_mask, "bool")
        if token_ids.ndim != 2 or token_ids.shape != padding_mask.shape:
            raise ValueError(
                "Token ids and padding mask must have the same shape (rows, length); "
                f"got {token_ids.shape} and {padding_mask.shape}."
            )
        if token_ids.dtype.kind not in "iu":
            raise ValueError(f"Token ids must be whole numbers; got dtype {token_ids.dtype}.")
        lowest, highest = token_ids.min(initial=0), token_ids.max(initial=0)
        if lowest < 0 or highest >= self.vocab_size:
            raise ValueError(
                f"Token ids must be from 0 to {self.vocab_size - 1}, padding included; "
                f"got {lowest if lowest < 0 else highest}."
            )
        return token_ids.astype("int32"), padding_mask


def special_table(special_ids, vocab_size):
    """Bool `(vocab_size,)`, True for the special ids."""
    outside = [i for i in special_ids if not 0 <= i < vocab_size]
    if outside:
        raise ValueError(
            "mask_id and special_ids must be ids of the vocabulary, from 0 to "
            f"{vocab_size - 1}; got {outside[0]}."
        )
    is_special = np.zeros(vocab_size, "bool")
    is_special[special_ids] = True
    if is_special.all():
        raise ValueError(
            "A tenth of the chosen tokens become a random id that is not special, so the "
            f"vocabulary must have one; all of its {vocab_size} ids are special or the mask."
        )
    return is_special


def checked_continues(continues, vocab_size):
    """`continues` as an array, if it has one bool for each id."""
    continues = np.asarray(continues)
    if continues.shape != (vocab_size,) or continues.dtype != bool:
        raise ValueError(
            f"continues must have one bool for each of the {vocab_size} ids, True where the id "
            f"continues a word; got shape {continues.shape} and dtype {continues.dtype}."
        )
    return continues


def choose_words(choosable, starts, count, rng):
    """Choose words in random order until each row has `count` tokens or no other word fits.

    Args:
        choosable: bool `(rows, length)`.
        starts: bool `(rows, length)`, True where a choosable token is the first of its word.
        count: int `(rows,)`, no more than the row has choosable tokens.
        rng: `np.random.Generator`.

    Returns:
        Bool `(rows, length)`, True for chosen tokens.
    """
    rows, length = choosable.shape
    word = np.cumsum(starts, axis=1) - 1  # each choosable token's word, counted from the left
    row = np.arange(rows)[:, None]
    sizes = np.bincount((row * length + word)[choosable], minlength=rows * length)
    sizes = sizes.reshape(rows, length)  # of the words; 0 after a row's last
    rank = rng.random((rows, length), dtype="float32")
    rank[sizes == 0] = np.inf
    order = np.argsort(rank, axis=1)
    sizes = np.take_along_axis(sizes, order, axis=1)

    taken = np.zeros_like(choosable)
    room = count.copy()
    for i in range(starts.sum(axis=1).max(initial=0)):
        if not room.any():
            break
        taken[:, i] = sizes[:, i] <= room
        room -= sizes[:, i] * taken[:, i]
    taken[:, :1] |= (room == count)[:, None]  # every word is too long: cut the first, below

    word_taken = np.zeros_like(choosable)
    np.put_along_axis(word_taken, order, taken, axis=1)
    chosen = choosable & np.take_along_axis(word_taken, word, axis=1)
    return chosen & (np.cumsum(chosen, axis=1) <= count[:, None])


def in_slots(token_ids, chosen, slots):
    """Chosen tokens as `(positions, labels, weight)`, each `(rows, slots)`, from the left."""
    row, position = np.nonzero(chosen)
    slot = np.cumsum(chosen, axis=1)[chosen] - 1
    positions, labels = np.zeros((2, len(chosen), slots), "int32")
    weight = np.zeros((len(chosen), slots), "float32")
    positions[row, slot] = position
    labels[row, slot] = token_ids[chosen]
    weight[row, slot] = 1
    return positions, labels, weight
