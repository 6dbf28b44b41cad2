"""What is known of each row while a token is chosen: its ids so far, which processors read."""

import dataclasses

from keras import ops, tree

from zoo.backends import backend

EMPTY = -1  # what stands where a row has no token yet


@dataclasses.dataclass(frozen=True)
class Processing:
    """The processors of a decoding, one after the other.

    Two that compare as equal are compiled as one: numbers are `constants`.

    Args:
        processors: a tuple of `zoo.generation.processors.Processor`.
    """

    processors: tuple = ()

    def begin(self, num_rows, copies, room, prompts):
        """Their part of the state before the first token; nothing where there are none.

        Args:
            num_rows, copies, room: ints: rows that are carried, those of a text, new tokens.
            prompts: `(token_ids, lengths)` of all texts, or None where nothing is continued.
        """
        if not self.processors:
            return {}
        ids, length = ops.full((num_rows, room), EMPTY, dtype="int32"), None
        if prompts is not None:
            token_ids, length = (ops.repeat(x, copies, axis=0) for x in prompts)
            is_real = ops.arange(ops.shape(token_ids)[1], dtype="int32") < length[:, None]
            ids = ops.concatenate([ops.where(is_real, token_ids, EMPTY), ids], axis=1)
        length = ops.zeros((num_rows,), "int32") if length is None else length
        places = [processor.begin(num_rows) for processor in self.processors]
        return {"past": {"ids": ids, "length": length, "start": length, "places": places}}

    def apply(self, logits, state, constants):
        """Logits `(rows, choices)` as the processors leave them, float32."""
        for i, processor in enumerate(self.processors):
            past = {**state["past"], "place": state["past"]["places"][i]}
            logits = processor(logits, past, constants["processors"][i])
        return logits

    def advance(self, state, token, constants, rows=None):
        """Their part of the state, a token further.

        Args:
            token: int32 `(rows,)`, what was chosen.
            rows: int32 `(rows,)`, which rows these tokens continue; None for each its own.
        """
        if not self.processors:
            return {}
        past = state["past"]
        if rows is not None:
            past = tree.map_structure(lambda x: ops.take(x, rows, axis=0), past)
        is_next = ops.arange(ops.shape(past["ids"])[1], dtype="int32") == past["length"][:, None]
        places = [
            processor.advance(place, token, numbers)
            for processor, place, numbers in zip(
                self.processors, past["places"], constants["processors"], strict=True
            )
        ]
        return {
            "past": {
                "ids": ops.where(is_next, token[:, None], past["ids"]),
                "length": past["length"] + 1,
                "start": past["start"],
                "places": places,
            }
        }


NOTHING = Processing()


def marked(ids, num_choices):
    """Bool `(rows, num_choices)`: which tokens occur in `ids` `(rows, length)`."""
    return count(ids, num_choices) > 0


def count(ids, num_choices):
    """float32 `(rows, num_choices)`: how often each token occurs in `ids` `(rows, length)`.

    What is no choice, such as `EMPTY`, is not counted.
    """
    # The last column is for what does not count.
    columns = ops.where((ids >= 0) & (ids < num_choices), ids, num_choices)
    ones = ops.ones(ops.shape(ids), "float32")
    return backend.sum_by_column(ones, columns, num_choices + 1)[:, :num_choices]
