"""Next-sentence prediction: does the second text follow the first?"""

from collections.abc import Iterable
from itertools import chain

import numpy as np

from zoo.objectives.base import Objective, as_ids, check_generator, several
from zoo.ranges import RATE, SIZE, TOKEN_ID, Integer

IS_NEXT, IS_RANDOM = 0, 1


class NextSentencePairs(Objective):
    """Documents to rows `[start] A [separator] B [separator]`, B the text after A or a random one.

    Devlin et al., 2019, https://arxiv.org/abs/1810.04805. Sentences of a document are collected
    until they reach a target length, and the run is cut at a random sentence boundary into A and B.
    For every second row, by a fair draw, B is instead a run from a random place of another
    document, and the sentences of A's document that it replaces are used again for the next row.
    The longer of A and B loses tokens, one by one, at its front or its back, until both fit.

    A run holds at least two sentences where the document has them, so that long sentences do not
    decide the label. A document's last sentence, left alone, always gets a random B: class 1 is
    therefore a little more than half of the rows, the more so the shorter the documents are.

    Args:
        length: int, tokens in a row, at least 5.
        start_id: int, the id that starts each row.
        separator_id: int, the id that ends A and B.
        short_rate: float from 0 to 1. The target is `length - 3` tokens, but this share of the
            rows has a random one from 2 to that, so that short rows are seen in training too.

    Call arguments:
        documents: a sequence of documents, each a sequence of sentences, each a sequence of token
            ids. Sentences and documents without tokens are left out.
        rng: `np.random.Generator`.

    Returns:
        `(token_ids, segment_ids, padding_mask, labels)`: int32, int32 and bool `(rows, length)`
        and int32 `(rows,)`, in the documents' order. The segment is 0 up to A's separator, 1 from
        there to B's, and 0 on padding; a label is 0 where B is next and 1 where it is random.

    Raises:
        ValueError: if fewer than two documents have a token in them, or an argument is out of its
            range.
    """

    arguments = Objective.arguments | {
        "length": Integer(5, SIZE.high),  # two texts of a token and three tokens around them
        "start_id": TOKEN_ID,
        "separator_id": TOKEN_ID,
        "short_rate": RATE,
    }

    def __init__(
        self, length: int, start_id: int, separator_id: int, short_rate: float = 0.1
    ) -> None:
        self.length = length
        self.start_id = start_id
        self.separator_id = separator_id
        self.short_rate = short_rate
        self.room = length - 3  # for A and B

    def __call__(self, documents: Iterable, rng: np.random.Generator) -> tuple:
        check_generator(rng)
        documents = [as_ids(sentences, "sentence") for sentences in several(documents)]
        num_given = len(documents)
        documents = [[ids.tolist() for ids in sentences if len(ids)] for sentences in documents]
        documents = [sentences for sentences in documents if sentences]
        if len(documents) < 2:
            raise ValueError(
                "A random second text comes from another document, so at least two documents must "
                f"have a token in them; got {num_given} documents, {len(documents)} of them with "
                "tokens. Split the text into documents."
            )
        pairs = [pair for i in range(len(documents)) for pair in self._pairs(documents, i, rng)]
        return self._rows(pairs)

    def _pairs(self, documents, index, rng):
        """All `(first, second, label)` that start in one document."""
        sentences = documents[index]
        start = 0
        while start < len(sentences):
            target = self._target(rng)
            stop = max(run_end(sentences, start, target), min(start + 2, len(sentences)))
            alone = stop == start + 1
            cut = stop if alone else int(rng.integers(start + 1, stop))
            first = joined(sentences[start:cut])
            if not alone and rng.random() < 0.5:
                second, label, start = joined(sentences[cut:stop]), IS_NEXT, stop
            else:
                second = random_run(documents, index, target - len(first), rng)
                label, start = IS_RANDOM, cut
            yield *truncated(first, second, self.room, rng), label

    def _target(self, rng):
        if rng.random() < self.short_rate:
            return int(rng.integers(2, self.room, endpoint=True))
        return self.room

    def _rows(self, pairs):
        token_ids, segment_ids = np.zeros((2, len(pairs), self.length), "int32")
        lengths = np.empty(len(pairs), "int32")
        for i, (first, second, _) in enumerate(pairs):
            row = [self.start_id, *first, self.separator_id, *second, self.separator_id]
            token_ids[i, : len(row)] = row
            segment_ids[i, len(first) + 2 : len(row)] = 1
            lengths[i] = len(row)
        padding_mask = np.arange(self.length) < lengths[:, None]
        labels = np.array([label for _, _, label in pairs], "int32")
        return token_ids, segment_ids, padding_mask, labels


def run_end(sentences, start, target):
    """The end of the shortest run of sentences that has `target` tokens, or the document's end."""
    num_tokens = 0
    for end in range(start, len(sentences)):
        num_tokens += len(sentences[end])
        if num_tokens >= target:
            return end + 1
    return len(sentences)


def random_run(documents, index, target, rng):
    """About `target` tokens, at least a sentence, from a random place of a document not `index`."""
    other = int(rng.integers(len(documents) - 1))
    sentences = documents[other + (other >= index)]
    start = int(rng.integers(len(sentences)))
    return joined(sentences[start : run_end(sentences, start, target)])


def truncated(first, second, room, rng):
    """Both texts, cut where they are too long together: the longer loses tokens until they fit.

    How many each loses is certain. Where is not: of n tokens that go at random from the front or
    the back, a binomial number goes from the front.
    """
    keep_first = min(len(first), max(room - len(second), (room + 1) // 2))
    keep_second = min(len(second), room - keep_first)
    return trimmed(first, keep_first, rng), trimmed(second, keep_second, rng)


def trimmed(ids, keep, rng):
    """`keep` of the ids, the others cut from the front or the back, at random one by one."""
    front = int(rng.binomial(len(ids) - keep, 0.5)) if keep < len(ids) else 0
    return ids[front : front + keep]


def joined(sentences):
    """The token ids of several sentences as one list."""
    return list(chain.from_iterable(sentences))
