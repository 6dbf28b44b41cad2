"""How likely a model finds what it writes: numbers of each token, returned on request."""

from typing import NamedTuple


class Scores(NamedTuple):
    """What was noted of a text while it was written.

    Attributes:
        token_ids: a list of new ids, the end token among them if it was reached.
        log_probs: a list, the model's own `log p` of each.
        scores: a list, the `log p` of each in what it was chosen from: after processors,
            temperature and filters; in a beam search after processors.
        score: float, what a beam ranks by; otherwise the sum of `log_probs`.
    """

    token_ids: list
    log_probs: list
    scores: list
    score: float


class Scored(NamedTuple):
    """A result of `generate(..., return_scores=True)`.

    Attributes:
        output: what `generate` returns without scores: text, or token ids.
        token_ids, log_probs, scores, score: those of `Scores`, of what is new in it.
    """

    output: str | list
    token_ids: list
    log_probs: list
    scores: list
    score: float


def scored(found, tokens, noted, copies):
    """Pairs of ids and `Scores`, for each text a list of `copies`.

    Args:
        found: for each text a list of lists of ids, without what ended them.
        tokens: int32 array `(rows, count)`.
        noted: a dict of float32 arrays `(rows, count)`.
    """

    def one(row, ids):
        length = min(len(ids) + 1, tokens.shape[1])  # with the end
        numbers = {name: array[row, :length].tolist() for name, array in noted.items()}
        score = sum(numbers["log_probs"])
        return ids, Scores(tokens[row, :length].tolist(), **numbers, score=score)

    return [
        [one(i * copies + j, ids) for j, ids in enumerate(several)]
        for i, several in enumerate(found)
    ]


def cut(scores, length):
    """The `Scores` of the first tokens alone; those of a whole beam's hypothesis keep its score."""
    if length >= len(scores.token_ids):
        return scores
    lists = (values[:length] for values in scores[:3])
    token_ids, log_probs, step_scores = lists
    return Scores(token_ids, log_probs, step_scores, sum(log_probs))
