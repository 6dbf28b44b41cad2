"""How likely a causal language model finds texts."""

from typing import Any

import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.data.sources import texts_of
from zoo.generation.readers import context_length
from zoo.layers import token_nats
from zoo.tasks.windows import scored_arrays, windows_of

SCORE_BATCH = 8


class ScoringTask:
    """Scores texts, in windows where they are longer than the context.

    A subclass calls `start_scoring` in its constructor.
    """

    def start_scoring(self):
        """Make what `score` needs."""
        self._score = backend.compile_function(self, self._row_nats)

    def score(self, texts: Any, stride: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """How likely the model finds texts, each from its first token on.

        Args:
            texts: a list of strings.
            stride: int, at most the context: a text that is longer is read in windows of the whole
                context that are so many tokens apart, and each token is predicted in the first
                window that holds it. None refuses such texts; a recurrent model needs no windows.

        Returns:
            `(nats, num_tokens)`: float32 and int32 arrays `(len(texts),)`. `nats` is the sum of
            `-log p` over a text's tokens, the first predicted from the start of a text.

        Raises:
            ValueError: if a text does not fit into the context, and there is no `stride`.
        """
        self.require_tokenizer()
        start = self.start_of_text("Scoring a text from its first token on")
        rows = [[start, *ids] for ids in self.encode(texts_of(texts)[0])]
        most = context_length(self.backbone)
        windows = [
            (i, window, num_scored)
            for i, row in enumerate(rows)
            for window, num_scored in windows_of(row, most, stride)
        ]
        windows.sort(key=lambda window: len(window[1]))
        nats = np.zeros(len(rows), "float64")
        while windows:
            size = SCORE_BATCH if len(windows[-1][1]) <= self.backbone.max_length + 1 else 1
            places, *batch = zip(*windows[-size:], strict=True)
            np.add.at(nats, list(places), self._nats_of(*batch)[: len(places)])
            del windows[-size:]
        return nats.astype("float32"), np.array([len(row) - 1 for row in rows], "int32")

    def _nats_of(self, rows, num_scored):
        arrays = scored_arrays(rows, num_scored, SCORE_BATCH, context_length(self.backbone))
        return ops.convert_to_numpy(self._score(*map(ops.convert_to_tensor, arrays)))

    def _row_nats(self, token_ids, is_scored):
        logits = self(token_ids[:, :-1], training=False)
        nats = token_nats(token_ids[:, 1:], logits)
        return ops.sum(ops.where(is_scored, nats, 0.0), axis=1)
